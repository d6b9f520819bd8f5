//! Durations of ISO 8601, of days, hours, minutes and seconds: a month has no length.

const UNITS: [(char, u32); 4] = [('D', 86_400), ('H', 3_600), ('M', 60), ('S', 1)];

/// `P1DT2H`, in seconds; fractions of one are cut.
pub(super) fn seconds(text: &str) -> Option<u32> {
    let rest = text.strip_prefix('P')?;
    let (days, times) = match rest.split_once('T') {
        Some((days, times)) if !times.is_empty() => (days, times),
        Some(_) => return None,
        None => (rest, ""),
    };
    if days.is_empty() && times.is_empty() {
        return None;
    }
    read(days, &UNITS[..1])?.checked_add(read(times, &UNITS[1..])?)
}

/// Each unit once at most, in their order.
fn read(mut text: &str, units: &[(char, u32)]) -> Option<u32> {
    let mut sum = 0_u32;
    for (unit, seconds) in units {
        let Some((number, rest)) = text.split_once(*unit) else { continue };
        let whole = match number.split_once('.') {
            Some((whole, fraction)) if *unit == 'S' && is_number(fraction) => whole,
            Some(_) => return None,
            None => number,
        };
        let number: u32 = if is_number(whole) { whole.parse().ok()? } else { return None };
        sum = sum.checked_add(number.checked_mul(*seconds)?)?;
        text = rest;
    }
    text.is_empty().then_some(sum)
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// The shortest way of writing it.
pub(super) fn text(seconds: u32) -> String {
    let (days, mut rest) = (seconds / UNITS[0].1, seconds % UNITS[0].1);
    let mut text = "P".to_owned();
    if days > 0 {
        text += &format!("{days}D");
    }
    if rest > 0 || days == 0 {
        text.push('T');
    }
    for (unit, length) in &UNITS[1..] {
        if rest >= *length {
            text += &format!("{}{unit}", rest / length);
            rest %= length;
        }
    }
    if text == "PT" { "PT0S".to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_and_written() {
        for (text_of, length) in
            [("P7D", 604_800), ("P1D", 86_400), ("PT1M", 60), ("PT1H30M", 5_400), ("P1DT1S", 86_401), ("PT0S", 0)]
        {
            assert_eq!(seconds(text_of), Some(length));
            assert_eq!(text(length), text_of);
        }
        assert_eq!(seconds("PT90.5S"), Some(90));
        for bad in
            ["", "P", "PT", "P1", "1D", "P1M", "P1Y", "P1W", "PT1D", "PT1M1H", "P-1D", "P1DT", "PT1.5M", "P99999D9"]
        {
            assert_eq!(seconds(bad), None, "{bad}");
        }
        assert_eq!(seconds("P99999D"), None, "longer than can be counted");
    }
}
