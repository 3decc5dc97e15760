//! Shares of a whole, in percent.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// A share of a whole, exact to a ten-thousandth of a percent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Share {
    millionths: u64,
}

const PERCENT: u64 = 10_000;

/// A text that is no share.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadShare {
    /// Not a number with a percent sign.
    #[error("is not a percentage")]
    Form,
    /// More than the whole.
    #[error("is more than everything")]
    TooLarge,
}

impl Share {
    /// All of it.
    pub const WHOLE: Self = Self::percent(100);

    /// So many percent.
    pub const fn percent(percent: u64) -> Self {
        Self {
            millionths: percent * PERCENT,
        }
    }

    /// What share `part` is of `whole`, rounded up; `None` of nothing.
    pub fn of(part: u64, whole: u64) -> Option<Self> {
        if whole == 0 {
            return None;
        }
        let millionths = (u128::from(part) * 1_000_000).div_ceil(u128::from(whole));
        Some(Self {
            millionths: u64::try_from(millionths).unwrap_or(u64::MAX),
        })
    }

    /// Whether `part` of `whole` is more than this. Nothing is more than
    /// everything, also where it comes from elsewhere.
    pub fn is_exceeded_by(self, part: u64, whole: u64) -> bool {
        self < Self::WHOLE
            && u128::from(part) * 1_000_000 > u128::from(self.millionths) * u128::from(whole)
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, fraction) = (self.millionths / PERCENT, self.millionths % PERCENT);
        let text = format!("{whole}.{fraction:04}");
        let text = text.trim_end_matches('0').trim_end_matches('.');
        write!(f, "{text}%")
    }
}

impl FromStr for Share {
    type Err = BadShare;

    fn from_str(text: &str) -> Result<Self, BadShare> {
        let number = text.strip_suffix('%').ok_or(BadShare::Form)?;
        let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
        let is_number =
            |digits: &str| !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
        if !is_number(whole) || !is_number(fraction) || fraction.len() > 4 {
            return Err(BadShare::Form);
        }
        let whole: u64 = whole.parse().map_err(|_| BadShare::TooLarge)?;
        let fraction: u64 = format!("{fraction:0<4}")
            .parse()
            .map_err(|_| BadShare::Form)?;
        let share = whole
            .checked_mul(PERCENT)
            .and_then(|whole| whole.checked_add(fraction))
            .map(|millionths| Self { millionths });
        share
            .filter(|share| *share <= Self::WHOLE)
            .ok_or(BadShare::TooLarge)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_written_as_it_was_read() {
        for text in ["0%", "10%", "0.5%", "100%", "33.3333%", "0.0001%"] {
            assert_eq!(
                text.parse::<Share>().map(|s| s.to_string()),
                Ok(text.to_owned())
            );
        }
        assert_eq!(
            "007.50%".parse::<Share>().map(|s| s.to_string()),
            Ok("7.5%".to_owned())
        );
        for text in [
            "", "%", "10", ".5%", "5.%", "-1%", "+1%", "1e1%", "0.00001%", " 1%", "1 %",
        ] {
            assert_eq!(text.parse::<Share>(), Err(BadShare::Form), "{text}");
        }
        for text in [
            "100.0001%",
            "101%",
            "99999999999999999999%",
            "18446744073709551615%",
        ] {
            assert_eq!(text.parse::<Share>(), Err(BadShare::TooLarge), "{text}");
        }
    }

    #[test]
    fn a_share_is_exceeded_by_one_more() {
        let tenth = Share::percent(10);
        assert!(!tenth.is_exceeded_by(100, 1000));
        assert!(tenth.is_exceeded_by(101, 1000));
        assert!(tenth.is_exceeded_by(1, 0));
        assert!(!Share::WHOLE.is_exceeded_by(u64::MAX, 0));
        assert!(tenth.is_exceeded_by(u64::MAX, u64::MAX));
        assert!(!Share::percent(0).is_exceeded_by(0, 0));
    }

    #[test]
    fn what_is_little_is_not_shown_as_nothing() {
        let shown = |part, whole| Share::of(part, whole).map(|share| share.to_string());
        assert_eq!(shown(1, u64::MAX).as_deref(), Some("0.0001%"));
        assert_eq!(shown(512, 1024).as_deref(), Some("50%"));
        assert_eq!(shown(2048, 1024).as_deref(), Some("200%"));
        assert_eq!(shown(1, 0), None);
    }
}
