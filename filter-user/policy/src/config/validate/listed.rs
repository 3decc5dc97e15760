//! The rows of customer lists. They are checked as customers of tables are, by
//! the same code. Most of a million rows are alike, and that code writes
//! messages: it is asked once for each kind of row, and then about those rows
//! alone that there is something to say about.

use foldhash::{HashMap, HashMapExt as _};
use jiff::Timestamp;

use super::{
    exemptions::{Situation, Surroundings},
    once::{check_ports, twice},
};
use crate::config::{
    customer_list::Row,
    draft::{CustomerDraft, Draft},
    mistakes::Mistakes,
    report::Severity,
};

pub(super) fn check(
    draft: &Draft,
    surroundings: &Surroundings<'_>,
    now: Timestamp,
    mistakes: &mut Mistakes,
) {
    let checker = Checker {
        draft,
        surroundings,
        now,
    };
    let mut remarkable = checker.remarkable();
    remarkable.sort_unstable_by_key(|&(severity, row, _)| (row.file, row.line, severity));
    for (severity, row, first) in remarkable {
        if mistakes.admit(draft.lists.text(row.file), severity) {
            checker.check(&row, first, mistakes);
        }
    }
}

struct Checker<'a> {
    draft: &'a Draft,
    surroundings: &'a Surroundings<'a>,
    now: Timestamp,
}

impl Checker<'_> {
    /// The rows that there is something to say about, each with the row before
    /// it that has the same prefix.
    fn remarkable(&self) -> Vec<(Severity, Row, Option<Row>)> {
        let list = self.draft.lists.rows();
        let rows = list.rows();
        let mut known: HashMap<(Situation, u32), Option<Severity>> = HashMap::new();
        let mut remarkable = Vec::new();
        let mut first: Option<Row> = None;
        for (number, row) in rows.iter().enumerate() {
            let same = first.filter(|first| first.prefix == row.prefix);
            let worst = if same.is_some() || self.is_also_in_a_table(row) {
                Some(Severity::Error)
            } else {
                let next = rows.get(number + 1);
                let is_around = next.is_some_and(|next| {
                    next.prefix != row.prefix && row.prefix.contains(&next.prefix)
                });
                let situation = self.surroundings.situation(&row.prefix);
                match situation.filter(|_| !is_around) {
                    Some(situation) => *known
                        .entry((situation, row.terms))
                        .or_insert_with(|| self.worst(row)),
                    None => self.worst(row),
                }
            };
            remarkable.extend(worst.map(|severity| (severity, *row, same)));
            if same.is_none() {
                first = Some(*row);
            }
        }
        remarkable
    }

    fn is_also_in_a_table(&self, row: &Row) -> bool {
        if self.draft.customers.is_empty() {
            return false;
        }
        self.surroundings.same_prefix(&row.prefix).is_some()
    }

    fn worst(&self, row: &Row) -> Option<Severity> {
        let mut mistakes = Mistakes::default();
        self.check(row, None, &mut mistakes);
        mistakes.worst()
    }

    /// Notes all that there is to say about a row.
    fn check(&self, row: &Row, first: Option<Row>, mistakes: &mut Mistakes) {
        let customer = self.draft_of(row);
        for prefix in customer.prefixes.iter().flat_map(|list| &list.items) {
            let in_list = first.map(|first| self.draft_of(&first));
            let in_list = in_list.and_then(|first| first.prefixes);
            let in_list = in_list.iter().flat_map(|list| &list.items).next();
            let in_table = self.surroundings.same_prefix(&prefix.value);
            if let Some(first) = in_table.or(in_list) {
                mistakes.push(twice(&format!("prefix {}", prefix.value), prefix, first));
            }
        }
        if let Some(ports) = &customer.allow_inbound {
            check_ports(ports, mistakes);
        }
        self.surroundings.check(&customer, self.now, mistakes);
    }

    fn draft_of(&self, row: &Row) -> CustomerDraft {
        self.draft.lists.draft(row.file, row.line as usize)
    }
}
