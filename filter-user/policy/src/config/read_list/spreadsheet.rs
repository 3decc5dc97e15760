//! What spreadsheets make of a list, called by its name.
//!
//! They separate fields as the exporter's locale has it, and take for numbers and
//! dates what they can. What a cell was before, only its author knows: nothing
//! here is read, and what it may have been goes into the help.

use jiff::{Span, civil::Date};

use super::fields::Fields;
use crate::config::{
    reader::Wrong,
    values::port_word,
    words::{list, quoted},
};

/// What separates fields where commas do not, and what it is called.
const SEPARATORS: [(char, &str); 3] = [(';', "semicolons"), ('\t', "tabs"), ('|', "bars")];

const AS_TEXT: &str = "in a spreadsheet, format the column as text";

/// A line in which something else than commas separates fields: it gives several,
/// one of which `is_field`.
pub(super) fn separated_otherwise(
    line: &str,
    is_field: impl Fn(&str) -> bool,
) -> Option<Wrong<()>> {
    let is_field = |field: &str| is_field(field.trim().trim_matches('"').trim());
    let separates = |separator| line.contains(separator) && line.split(separator).any(&is_field);
    let found = SEPARATORS
        .iter()
        .find(|(separator, _)| separates(*separator));
    found.map(|&(_, name)| {
        let message = format!("fields that are separated by {name}");
        Wrong::new(message, SEPARATOR_HELP)
    })
}

pub(super) const SEPARATOR_HELP: &str =
    "separate fields by commas: spreadsheets offer that where a file is exported";

/// What a line `sep=;`, which is for a spreadsheet to read, says that separates
/// fields: the rest of its only field. A comma ends that.
pub(super) fn stated_separator<'f>(fields: &'f Fields<'_>) -> Option<&'f str> {
    if fields.used() != 1 {
        return None;
    }
    let (key, separator) = fields.written(0).split_at_checked("sep=".len())?;
    key.eq_ignore_ascii_case("sep=").then_some(separator)
}

/// Ports with commas between them; or one with a comma in it, like an amount.
pub(super) fn ports(written: &str) -> Option<Wrong<()>> {
    const BETWEEN: [char; 2] = [',', ';'];
    let is_between = |c: char| BETWEEN.contains(&c) || c.is_whitespace();
    let mut words = written.split(is_between).filter(|word| !word.is_empty());
    if !written.contains(BETWEEN) || !words.clone().all(|word| port_word(word).is_ok()) {
        return None;
    }
    let apart: Vec<_> = words.by_ref().collect();
    let apart = apart.join(" ");
    let as_one = written.replace(',', "");
    let is_thousands = written
        .rfind(',')
        .is_some_and(|comma| written.len() - comma == 4);
    let help = match port_word(&as_one) {
        Ok(_) if is_thousands => format!("write {as_one} for one port, {apart} for two; {AS_TEXT}"),
        _ => format!("separate ports by blanks: {apart}"),
    };
    let message = format!("{} has more than blanks between ports", quoted(written));
    Some(Wrong::new(message, help))
}

/// A date as people write them, or the number that a spreadsheet takes for a day.
pub(super) fn date<T>(written: &str) -> Option<Wrong<T>> {
    // A time may follow.
    let word = written.split_whitespace().next()?;
    let numbers = word.split(['.', '/', '-']).map(|number| number.parse());
    let numbers: Vec<i32> = numbers.collect::<Result<_, _>>().ok()?;
    let (mut dates, what): (Vec<Date>, _) = match numbers[..] {
        [day @ 10_000..=99_999] => {
            let dates = FIRST_DAY.checked_add(Span::new().days(day));
            (dates.into_iter().collect(), "counts days")
        }
        [a, b, c] => {
            // With the year at either end; the month comes first in America.
            let orders = [(c, b, a), (c, a, b), (a, b, c)];
            (
                orders.into_iter().filter_map(calendar).collect(),
                "writes it",
            )
        }
        _ => return None,
    };
    dates.sort_unstable();
    dates.dedup();
    let dates: Vec<_> = dates.iter().map(Date::to_string).collect();
    let message = format!("{} is a date as a spreadsheet {what}", quoted(written));
    let help = format!("write {}; {AS_TEXT}", list(&dates, "or"));
    (!dates.is_empty()).then(|| Wrong::new(message, help))
}

/// The day that has the number 0.
const FIRST_DAY: Date = Date::constant(1899, 12, 30);

/// A date, if there is such a one. Two digits are a year of this century.
fn calendar((year, month, day): (i32, i32, i32)) -> Option<Date> {
    let year = match year {
        0..100 => year + 2000,
        year => year,
    };
    let (year, month, day) = (year.try_into(), month.try_into(), day.try_into());
    Date::new(year.ok()?, month.ok()?, day.ok()?).ok()
}
