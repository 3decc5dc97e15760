//! Durations and moments as they are given on the command line.

use jiff::{
    RoundMode, SignedDuration, Span, SpanRelativeTo, Timestamp, TimestampRound, Unit, civil::Date,
    tz::TimeZone,
};

/// `90s`, `5m`, `2h`, `1h 30m` or `3d`: more than nothing. A day has 24 hours.
pub(super) fn duration(text: &str) -> Result<SignedDuration, String> {
    let help = "write a duration such as 90s, 5m, 2h or 3d";
    let span: Span = text.parse().map_err(|_| help.to_owned())?;
    let duration = span
        .to_duration(SpanRelativeTo::days_are_24_hours())
        .map_err(|_| help.to_owned())?;
    match duration.is_positive() {
        true => Ok(duration),
        false => Err(format!("no time at all: {help}")),
    }
}

/// A duration from now, to the second and no less than that, a moment with its offset, or a
/// date, through which it lasts (UTC).
pub(super) fn expiry(text: &str) -> Result<Timestamp, String> {
    expiry_after(text, Timestamp::now())
}

fn expiry_after(text: &str, now: Timestamp) -> Result<Timestamp, String> {
    if let Ok(moment) = text.parse::<Timestamp>() {
        return Ok(moment);
    }
    let is_date = text.len() == "2026-12-01".len() && text.contains('-');
    if let (true, Ok(date)) = (is_date, text.parse::<Date>()) {
        let next = date
            .tomorrow()
            .and_then(|next| next.to_zoned(TimeZone::UTC));
        return next
            .map(|next| next.timestamp())
            .map_err(|_| format!("{text} is too far away"));
    }
    let duration = duration(text).map_err(|_| {
        "write how long, such as 2h or 3d, a moment such as 2026-12-01T18:00:00Z, or a date such \
         as 2026-12-01, through which it lasts"
            .to_owned()
    })?;
    let whole_seconds = TimestampRound::new()
        .smallest(Unit::Second)
        .mode(RoundMode::Ceil);
    now.checked_add(duration)
        .and_then(|end| end.round(whole_seconds))
        .map_err(|_| format!("{text} is too long"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(text: &str) -> Result<String, String> {
        let now = "2026-06-15T12:00:00Z".parse().map_err(|_| "now")?;
        expiry_after(text, now).map(|moment| moment.to_string())
    }

    #[test]
    fn a_duration_a_moment_or_a_date() {
        for (text, moment) in [
            ("2h", "2026-06-15T14:00:00Z"),
            ("90s", "2026-06-15T12:01:30Z"),
            ("1h 30m", "2026-06-15T13:30:00Z"),
            ("30d", "2026-07-15T12:00:00Z"),
            ("2026-12-01T18:00:00Z", "2026-12-01T18:00:00Z"),
            ("2026-12-01T18:00:00+02:00", "2026-12-01T16:00:00Z"),
            ("2026-12-01", "2026-12-02T00:00:00Z"),
        ] {
            assert_eq!(after(text), Ok(moment.to_owned()), "{text}");
        }
    }

    #[test]
    fn a_duration_ends_with_a_whole_second() {
        let now = "2026-06-15T12:00:00.000000001Z".parse().ok();
        let end = now.and_then(|now| expiry_after("2h", now).ok());
        assert_eq!(end, "2026-06-15T14:00:01Z".parse().ok());
    }

    #[test]
    fn nothing_else() {
        for text in [
            "",
            "2",
            "h",
            "-2h",
            "0s",
            "1mo",
            "2026-12-01T18:00:00",
            "2026-13-01",
            "tomorrow",
        ] {
            assert!(after(text).is_err(), "{text}: {:?}", after(text));
        }
        assert!(duration("5m").is_ok() && duration("0m").is_err() && duration("5").is_err());
    }
}
