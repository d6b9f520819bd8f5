//! What waits for a person, in this process: one-time sign-in codes that an operator made, and devices that
//! wait for somebody to sign in elsewhere. A restart forgets both; whoever waited begins again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use graph::{AppId, Timestamp, UserId};
use store::RedeemableHash;

use super::grant::hash;
use super::refusal::Refusal;
use super::tenancy::Tenancy;
use crate::ids;

/// How long a sign-in code may be used, in minutes.
pub const SIGN_IN_MINUTES: i64 = 15;
/// How long a sign-in code is: 69 bits.
const SIGN_IN_LETTERS: usize = 16;
/// How long a device waits, in minutes.
pub const DEVICE_MINUTES: i64 = 15;
/// How often a device may ask, in seconds.
pub const DEVICE_SECONDS_MIN: i64 = 5;
/// How many of each kind may wait.
const WAITING_MAX: usize = 10_000;

/// All that wait.
#[derive(Default)]
pub struct Pending {
    sign_ins: Mutex<BTreeMap<RedeemableHash, SignIn>>,
    /// By the hash of the device code.
    devices: Mutex<BTreeMap<RedeemableHash, Device>>,
}

struct SignIn {
    user: UserId,
    expires: Timestamp,
}

/// A device that waits, or need not any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    /// What the person types.
    pub user_code: String,
    pub app: AppId,
    pub tenancy: Tenancy,
    pub scopes: BTreeSet<String>,
    pub state: DeviceState,
    pub expires: Timestamp,
    /// When it asked last.
    pub asked: Option<Timestamp>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeviceState {
    Waiting,
    SignedIn(UserId),
    Declined,
}

impl Pending {
    /// A code with which a user may sign in once: sixteen letters.
    pub fn new_sign_in_code(&self, user: UserId, now: Timestamp) -> Result<String, Refusal> {
        let code = ids::new_code(SIGN_IN_LETTERS);
        let mut sign_ins = lock(&self.sign_ins);
        sign_ins.retain(|_, waiting| waiting.expires > now);
        if sign_ins.len() >= WAITING_MAX {
            return Err(Refusal::Unavailable);
        }
        sign_ins.insert(hash(&code), SignIn { user, expires: now.plus_minutes(SIGN_IN_MINUTES) });
        Ok(code)
    }

    /// The user who may sign in with this code, in whatever way it was typed. A code is good for one try.
    pub fn sign_in(&self, typed: &str, now: Timestamp) -> Option<UserId> {
        let waiting = lock(&self.sign_ins).remove(&hash(&letters(typed)))?;
        (waiting.expires > now).then_some(waiting.user)
    }

    pub fn add_device(&self, code: RedeemableHash, device: Device, now: Timestamp) -> Result<(), Refusal> {
        let mut devices = lock(&self.devices);
        devices.retain(|_, waiting| waiting.expires > now);
        let taken = devices.values().any(|waiting| waiting.user_code == device.user_code);
        if taken || devices.len() >= WAITING_MAX {
            return Err(Refusal::Unavailable);
        }
        devices.insert(code, device);
        Ok(())
    }

    /// The device that shows this code to a person, while it waits.
    pub fn device(&self, user_code: &str, now: Timestamp) -> Option<Device> {
        let devices = lock(&self.devices);
        let waits = |device: &&Device| device.state == DeviceState::Waiting && device.expires > now;
        devices.values().filter(waits).find(|device| device.user_code == user_code).cloned()
    }

    /// Tells a device what the person said. `None` if it does not wait any more.
    pub fn answer_device(&self, user_code: &str, state: DeviceState, now: Timestamp) -> Option<()> {
        let mut devices = lock(&self.devices);
        let waits = |device: &&mut Device| device.state == DeviceState::Waiting && device.expires > now;
        let device = devices.values_mut().filter(waits).find(|device| device.user_code == user_code)?;
        device.state = state;
        Some(())
    }

    /// What a device that asks at `now` is to be told. Who signed in is told once.
    pub fn poll_device(&self, code: RedeemableHash, app: AppId, now: Timestamp) -> Result<(Device, UserId), Refusal> {
        let mut devices = lock(&self.devices);
        let device = devices.get_mut(&code).filter(|device| device.app == app).ok_or(Refusal::DeviceCodeUnknown)?;
        if device.expires <= now {
            devices.remove(&code);
            return Err(Refusal::DeviceCodeExpired);
        }
        match device.state {
            DeviceState::Waiting => {
                let soon = device.asked.is_some_and(|asked| now.since(asked) < DEVICE_SECONDS_MIN * 1_000_000 / 2);
                device.asked = Some(now);
                Err(if soon { Refusal::SlowDown } else { Refusal::Pending })
            }
            DeviceState::Declined => {
                devices.remove(&code);
                Err(Refusal::Declined)
            }
            DeviceState::SignedIn(user) => {
                let device = device.clone();
                devices.remove(&code);
                Ok((device, user))
            }
        }
    }
}

/// A code as it was made, of one that a person has typed.
pub fn letters(typed: &str) -> String {
    typed.chars().filter(char::is_ascii_alphanumeric).map(|letter| letter.to_ascii_uppercase()).collect()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seed;

    const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);

    fn device() -> Device {
        Device {
            user_code: "BCDFGHJKL".into(),
            app: seed::APP,
            tenancy: Tenancy::Common,
            scopes: BTreeSet::new(),
            state: DeviceState::Waiting,
            expires: NOW.plus_minutes(DEVICE_MINUTES),
            asked: None,
        }
    }

    #[test]
    fn stolen_sign_in_code_is_good_once_and_for_a_quarter_of_an_hour() {
        let (pending, megan) = (Pending::default(), seed::users()[0].id);
        let code = pending.new_sign_in_code(megan, NOW).unwrap();
        assert_eq!(pending.sign_in("BCDF", NOW), None);
        assert_eq!(pending.sign_in(&code, NOW), Some(megan));
        assert_eq!(pending.sign_in(&code, NOW), None);
        let late = pending.new_sign_in_code(megan, NOW).unwrap();
        assert_eq!(pending.sign_in(&late, NOW.plus_minutes(SIGN_IN_MINUTES)), None);
    }

    #[test]
    fn a_device_waits_until_somebody_signs_in() {
        let (pending, megan) = (Pending::default(), seed::users()[0].id);
        pending.add_device(hash("d"), device(), NOW).unwrap();
        let ask = |seconds: i64| pending.poll_device(hash("d"), seed::APP, NOW.plus_micros(seconds * 1_000_000));
        assert_eq!(ask(0), Err(Refusal::Pending));
        assert_eq!(ask(1), Err(Refusal::SlowDown));
        assert_eq!(ask(6), Err(Refusal::Pending));
        assert_eq!(pending.poll_device(hash("d"), AppId(uuid::Uuid::nil()), NOW), Err(Refusal::DeviceCodeUnknown));
        assert_eq!(pending.answer_device("BCDFGHJKM", DeviceState::SignedIn(megan), NOW), None);
        assert_eq!(pending.answer_device("BCDFGHJKL", DeviceState::SignedIn(megan), NOW), Some(()));
        assert_eq!(pending.answer_device("BCDFGHJKL", DeviceState::Declined, NOW), None);
        assert_eq!(ask(12).map(|(_, user)| user), Ok(megan));
        assert_eq!(ask(18), Err(Refusal::DeviceCodeUnknown));
    }

    #[test]
    fn a_device_that_waits_too_long_or_is_declined_gets_nothing() {
        let pending = Pending::default();
        pending.add_device(hash("d"), device(), NOW).unwrap();
        assert!(pending.add_device(hash("e"), device(), NOW).is_err(), "two with one code");
        pending.answer_device("BCDFGHJKL", DeviceState::Declined, NOW).unwrap();
        assert_eq!(pending.poll_device(hash("d"), seed::APP, NOW), Err(Refusal::Declined));
        pending.add_device(hash("d"), device(), NOW).unwrap();
        let late = NOW.plus_minutes(DEVICE_MINUTES);
        assert_eq!(pending.device("BCDFGHJKL", late), None);
        assert_eq!(pending.poll_device(hash("d"), seed::APP, late), Err(Refusal::DeviceCodeExpired));
    }
}
