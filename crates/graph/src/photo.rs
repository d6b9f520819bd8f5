//! What the first bytes of a picture tell of it. Pixels are never read.

/// A picture that can be a photo.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Photo {
    /// `image/jpeg` or `image/png`.
    pub content_type: &'static str,
    /// In pixels, like `height`; never 0.
    pub width: u32,
    pub height: u32,
}

/// Reads the headers of a JPEG or PNG file; `None` if it is neither.
pub fn read(bytes: &[u8]) -> Option<Photo> {
    let (content_type, (width, height)) = match bytes {
        [0xff, 0xd8, rest @ ..] => ("image/jpeg", jpeg(rest)?),
        _ => ("image/png", png(bytes)?),
    };
    (width > 0 && height > 0).then_some(Photo { content_type, width, height })
}

/// The header chunk comes first: its length and name, then width and height.
fn png(bytes: &[u8]) -> Option<(u32, u32)> {
    let header = bytes.strip_prefix(b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR")?;
    let number = |bytes: &[u8]| bytes.try_into().ok().map(u32::from_be_bytes);
    Some((number(header.get(..4)?)?, number(header.get(4..8)?)?))
}

/// Segments follow each other by their lengths; the first that begins a frame has its size.
fn jpeg(mut rest: &[u8]) -> Option<(u32, u32)> {
    loop {
        let [0xff, marker, after @ ..] = rest else { return None };
        rest = match marker {
            // Fill bytes, and markers that stand alone.
            0xff => &rest[1..],
            0x01 | 0xd0..=0xd7 => after,
            _ => {
                let length = usize::from(u16::from_be_bytes(after.get(..2)?.try_into().ok()?));
                let segment = after.get(2..length)?;
                if matches!(marker, 0xc0..=0xcf) && !matches!(marker, 0xc4 | 0xc8 | 0xcc) {
                    let number = |at: usize| Some(u16::from_be_bytes(segment.get(at..at + 2)?.try_into().ok()?).into());
                    return Some((number(3)?, number(1)?));
                }
                &after[length..]
            }
        };
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR\0\0\x02\x80\0\0\x01\xe0\x08\x02\0\0\0";
    const JPEG: &[u8] = b"\xff\xd8\xff\xe0\0\x04ab\xff\xff\xc2\0\x0b\x08\x01\xe0\x02\x80\x01\x01\x11\0";

    #[test]
    fn a_picture_is_known_by_its_first_bytes() {
        assert_eq!(read(PNG), Some(Photo { content_type: "image/png", width: 640, height: 480 }));
        assert_eq!(read(JPEG), Some(Photo { content_type: "image/jpeg", width: 640, height: 480 }));
        for no_picture in [&b""[..], b"GIF89a\x01\0\x01\0", b"<svg/>", &PNG[..20], &JPEG[..14], b"\xff\xd8\xff\xc0\0\0"]
        {
            assert_eq!(read(no_picture), None, "{no_picture:?}");
        }
        assert_eq!(read(b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR\0\0\0\0\0\0\x01\xe0"), None, "it has no width");
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(head in 0usize..JPEG.len(), tail in prop::collection::vec(any::<u8>(), 0..64)) {
            let bytes = [&JPEG[..head], &tail].concat();
            let _ = read(&bytes);
        }
    }
}
