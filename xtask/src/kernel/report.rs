//! What the machine has told.

use std::fmt;

use anyhow::Result;

use crate::sum::Sum;

/// Made of the lines that come out of the machine.
#[derive(Debug, Default)]
pub(super) struct Report {
    kernel: Option<String>,
    verified: Option<String>,
    sum: Sum,
    /// What had failed when the program that is running was started.
    failed_before: u64,
    is_finished: bool,
    /// Parts of names of tests that have to run, and have not yet.
    unseen: Vec<&'static str>,
}

impl Report {
    /// Of a machine in which tests with these in their names have to run.
    pub(super) fn expecting(names: &[&'static str]) -> Self {
        Self {
            unseen: names.to_vec(),
            ..Self::default()
        }
    }

    /// Adds a line, and returns what of it is for the reader.
    pub(super) fn add(&mut self, line: &str) -> Option<String> {
        self.sum.add(line);
        if line.starts_with("test ") {
            self.unseen.retain(|name| !line.contains(name));
        }
        if line.starts_with("as loaded for role customer") {
            self.verified = Some(line.to_owned());
        }
        let Some(remark) = line.strip_prefix('@') else {
            return Some(line.to_owned());
        };
        let mut words = remark.split(' ');
        match (words.next()?, words.next(), words.next()) {
            ("kernel", Some(release), _) => self.kernel = Some(release.to_owned()),
            ("running", ..) => self.failed_before = self.sum.failed,
            ("ended", _, Some("0")) => {}
            ("ended", Some(program), _) if self.sum.failed == self.failed_before => {
                return Some(self.fail(&format!("{program} ended without a result")));
            }
            ("failed", ..) => return Some(self.fail(remark)),
            ("finished", ..) => self.is_finished = true,
            _ => {}
        }
        None
    }

    /// Whether the first process has said which kernel it is on.
    pub(super) fn is_from_a_kernel(&self) -> bool {
        self.kernel.is_some()
    }

    /// The machine has ended.
    pub(super) fn end(&mut self, outcome: Result<()>) {
        for name in std::mem::take(&mut self.unseen) {
            println!("{}", self.fail(&format!("no test has {name} in its name")));
        }
        let complaint = match outcome {
            Err(error) => format!("{error:#}"),
            Ok(()) if !self.is_finished => "the machine ended before its tests did".to_owned(),
            Ok(()) => return,
        };
        println!("{}", self.fail(&complaint));
    }

    /// What no test program counts.
    fn fail(&mut self, what: &str) -> String {
        self.sum.failed += 1;
        format!("{what}: counted as failed")
    }

    pub(super) fn is_good(&self) -> bool {
        self.is_finished && self.sum.failed == 0 && self.sum.passed > 0
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kernel = self.kernel.as_deref().unwrap_or("(which did not start)");
        let verified = self.verified.as_deref().unwrap_or("the program not loaded");
        write!(f, "{}, on Linux {kernel}; {verified}", self.sum)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(lines: &[&str]) -> Report {
        let mut report = Report::default();
        for line in lines {
            report.add(line);
        }
        report.end(Ok(()));
        report
    }

    const RESULT: &str = "test result: ok. 3 passed; 0 failed; 0 ignored";

    #[test]
    fn a_whole_run_is_summed_up_in_a_line() {
        let report = report(&[
            "@kernel 6.1.0-1-amd64",
            "as loaded for role customer: 5 instructions",
            "@running wire",
            RESULT,
            "@ended wire 0",
            "@finished",
        ]);
        assert!(report.is_good() && report.is_from_a_kernel());
        assert!(!Report::default().is_from_a_kernel());
        assert_eq!(
            report.to_string(),
            "3 passed, 0 failed, on Linux 6.1.0-1-amd64; \
             as loaded for role customer: 5 instructions"
        );
    }

    #[test]
    fn a_failure_is_counted_once_and_never_lost() {
        let failed = "test result: FAILED. 2 passed; 1 failed; 0 ignored";
        let fails = |lines: &[&str]| {
            let report = report(lines);
            assert!(!report.is_good());
            report.sum.failed
        };
        assert_eq!(fails(&[RESULT]), 1, "the machine did not finish");
        assert_eq!(fails(&["@finished"]), 0, "nothing was run");
        assert_eq!(
            fails(&["@running a", failed, "@ended a 101", "@finished"]),
            1
        );
        assert_eq!(
            fails(&["@running a", RESULT, "@ended a 139", "@finished"]),
            1
        );
        assert_eq!(fails(&[RESULT, "@failed modprobe veth", "@finished"]), 1);
    }

    #[test]
    fn a_test_that_has_to_run_is_missed() {
        let failed = |line: &str| {
            let mut report = Report::expecting(&["mail_leaves"]);
            for line in [line, RESULT, "@finished"] {
                report.add(line);
            }
            report.end(Ok(()));
            report.sum.failed
        };
        assert_eq!(failed("test by_wire::mail_leaves_only ... ok"), 0);
        assert_eq!(failed("test mail_stays ... ok"), 1);
    }
}
