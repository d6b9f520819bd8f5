//! Where a part of an upload belongs: `Content-Range: bytes 0-2097151/3483322`.

/// The part's first byte and length, and the length of the whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Range {
    pub at: u64,
    pub length: u64,
    pub total: u64,
}

/// Reads the header; `None` if it names no range of bytes within a whole.
pub(super) fn read(header: &str) -> Option<Range> {
    let (unit, rest) = header.trim().split_once(' ')?;
    let (range, total) = rest.trim().split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let number = |text: &str| text.trim().parse::<u64>().ok();
    let (at, last, total) = (number(first)?, number(last)?, number(total)?);
    let holds = unit.eq_ignore_ascii_case("bytes") && at <= last && last < total;
    holds.then(|| Range { at, length: last - at + 1, total })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_read_or_is_none() {
        assert_eq!(read("bytes 0-2097151/3483322"), Some(Range { at: 0, length: 2_097_152, total: 3_483_322 }));
        assert_eq!(read("Bytes 5-5/6"), Some(Range { at: 5, length: 1, total: 6 }));
        let max = u64::MAX;
        for header in ["", "bytes */6", "bytes 5-4/6", "bytes 0-6/6", "bytes 0-5", "items 0-5/6", "bytes 0-5/*"] {
            assert_eq!(read(header), None, "{header}");
        }
        assert_eq!(read(&format!("bytes 0-{max}/{max}")), None);
        assert_eq!(read("bytes 0-99999999999999999999/5"), None);
    }
}
