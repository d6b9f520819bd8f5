//! How far a command has come, on the terminal; nothing is drawn where nobody watches.

use indicatif::{ProgressBar, ProgressStyle};

/// A bar that counts such things. Its length is not known yet.
pub fn bar(things: &'static str) -> ProgressBar {
    let bar = ProgressBar::new(0);
    let style = ProgressStyle::with_template("{wide_bar} {human_pos}/{human_len} {msg} {eta}");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar.with_message(things)
}
