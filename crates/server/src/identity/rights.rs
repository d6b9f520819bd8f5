//! Graph's permission names, read into what the mailbox asks for.

use graph::Kind;

/// What a token lets its bearer do. Names that mean nothing here are passed over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rights {
    read: [bool; 3],
    write: [bool; 3],
    send: bool,
    directory: bool,
}

impl Rights {
    pub fn of<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        let mut rights = Self::default();
        for name in names {
            rights.add(name);
        }
        rights
    }

    pub fn reads(&self, kind: Kind) -> bool {
        self.read[kind as usize]
    }

    pub fn writes(&self, kind: Kind) -> bool {
        self.write[kind as usize]
    }

    pub fn sends_mail(&self) -> bool {
        self.send
    }

    /// Whether it may look at users other than its own.
    pub fn reads_directory(&self) -> bool {
        self.directory
    }

    fn add(&mut self, name: &str) {
        match name {
            "Mail.Send" => self.send = true,
            "User.Read.All" | "User.ReadBasic.All" | "User.ReadWrite.All" | "Directory.Read.All" => {
                self.directory = true;
            }
            _ => self.add_resource(name),
        }
    }

    fn add_resource(&mut self, name: &str) {
        let Some((resource, right)) = name.split_once('.') else { return };
        let kind = match resource {
            "Mail" => Kind::Message,
            "Calendars" => Kind::Event,
            "Contacts" => Kind::Contact,
            _ => return,
        };
        match right {
            "Read" | "ReadBasic" | "ReadBasic.All" => self.read[kind as usize] = true,
            "ReadWrite" => {
                self.read[kind as usize] = true;
                self.write[kind as usize] = true;
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_grant_what_graph_says() {
        let rights = Rights::of(["Mail.ReadWrite", "Calendars.Read", "Mail.Send", "Files.Read", "openid"]);
        assert!(rights.reads(Kind::Message) && rights.writes(Kind::Message) && rights.sends_mail());
        assert!(rights.reads(Kind::Event) && !rights.writes(Kind::Event));
        assert!(!rights.reads(Kind::Contact) && !rights.reads_directory());
    }
}
