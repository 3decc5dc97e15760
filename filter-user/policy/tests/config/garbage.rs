//! Whatever comes in, a report comes out.

use std::path::Path;

use policy::config::{self, Memory};

use crate::now;

const EXAMPLE: &str = include_str!("../../../../config/poolguard.toml");
const CUSTOMER: &str = include_str!("../../../../config/customers.d/acme.toml");

/// Loads `main` beside the example's customer, prints whatever is reported in
/// each form, and checks that it is about something.
fn survives(main: &[u8]) {
    let files = Memory::default()
        .with("dir/poolguard.toml", main)
        .with("dir/customers.d/acme.toml", CUSTOMER);
    let report = match config::load_from(&files, Path::new("dir/poolguard.toml"), now()) {
        Ok(loaded) => loaded.warnings,
        Err(report) => {
            assert!(report.errors() > 0, "{}", String::from_utf8_lossy(main));
            report
        }
    };
    for color in [false, true] {
        let rendered = report.render(color);
        assert_eq!(rendered.is_empty(), report.is_empty());
    }
    serde_json::to_string(report.diagnostics()).unwrap();
}

#[test]
fn odd_files() {
    let deep = |open: &str, close: &str| {
        let depth = 10_000;
        format!("x = {}{}", open.repeat(depth), close.repeat(depth)).into_bytes()
    };
    let files: &[&[u8]] = &[
        b"",
        b"\n",
        b"\0",
        b"\r",
        b"\xff\xfe\0",
        b"\xef\xbb\xbf",
        b"\xef\xbb\xbf\n\xef\xbb\xbf",
        b"\xef\xbb",
        b"a = \"\xc3\"",
        b"[",
        b"[[",
        b"[]",
        b"[[]]",
        b"=",
        b"\"\" = 1",
        b"'' = ''\n'' = ''",
        b"\"\"\"",
        b"'''",
        b"x = '''\n[mail]\nservers = []",
        b"x = 0x",
        b"x = 0b2\ny = 0o8\nz = 1__0",
        b"x = 1e999\ny = -inf\nz = nan",
        b"mail = 1\nmail = 2",
        b"[mail.servers]\n[mail]\n[mail]",
        b"[[mail]]\n[[mail]]\n[mail]",
        b"mail.servers = []\nmail.ports.x = 1",
        b"pool = []\ncustomer = [[]]\ninterface = [{}, {}]",
        b"pool = [[[]], {prefixes = [[], {}]}]",
        b"include = [\"**\", \"/**/[\", \"[\", \"\\u0000\", \"dir/\", \".\", \"..\", \"a/../b\"]",
        b"[[customer]]\nexpires = 0000-01-01T00:00:00+24:00",
        b"[[customer]]\nexpires = 9999-12-31T23:59:60.999999999999-24:00",
        b"[[customer]]\nexpires = 2027-13-45T99:99:99",
        b"[[customer]]\nexpires = 00:00:00\nprefixes = [\"::/128\", \"/\", \"//\", \"::1/0\", \"1.1.1.1/032\"]",
        b"[ports]\nforbidden = [-0, +0, 0.0, 0x0, \"/\", \"1/\", \"99999999999999999999/tcp\"]",
        "ключ = \"значение\"\n観察 = \"観察\"\n\"👩‍👩‍👧‍👦\" = \"".as_bytes(),
        "x = \"\u{1b}]8;;\u{7}\u{9b}31m\u{202e}\"".as_bytes(),
    ];
    for file in files {
        survives(file);
    }
    survives(&deep("[", "]"));
    survives(&deep("{a=", "}"));
    survives(&deep("[", ""));
    survives(&deep("a.", "= 1"));
    survives(&b"a.".repeat(10_000));
    survives(&b"[x]\n".repeat(1_000));
    survives("é".repeat(50_000).as_bytes());
}

/// Good enough to pick bytes with, and the same each time.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit as u64) as usize
    }

    fn pick<'a, T: ?Sized>(&mut self, from: &[&'a T]) -> &'a T {
        from[self.below(from.len())]
    }
}

#[test]
fn the_example_with_bytes_changed() {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let snippets: &[&[u8]] = &[
        b"[",
        b"]",
        b"[[",
        b"]]",
        b"\"",
        b"'",
        b"=",
        b"\n",
        b"\r",
        b",",
        b"#",
        b"{",
        b"}",
        b".",
        b"\0",
        b"\xff",
        b"\t",
        b"/0",
        b"-",
        b"1",
        b"\xc3\xb6",
        b"\"\"\"",
        b"'''",
        b"0x",
        b"e9",
        b"",
    ];
    for _ in 0..4_000 {
        let mut file = EXAMPLE.as_bytes().to_vec();
        for _ in 0..=random.below(4) {
            let at = random.below(file.len());
            let end = (at + random.below(8)).min(file.len());
            file.splice(at..end, random.pick(snippets).iter().copied());
        }
        survives(&file);
    }
}

#[test]
fn words_in_any_order() {
    let mut random = Random(0xd1b5_4a32_d192_ed03);
    let words: &[&str] = &[
        "enforcement",
        "include",
        "[[interface]]",
        "[[pool]]",
        "[[customer]]",
        "[mail]",
        "[ports]",
        "[metrics]",
        "name",
        "role",
        "kind",
        "prefixes",
        "servers",
        "ports",
        "forbidden",
        "expires",
        "allow_inbound",
        "allow_smtp_out",
        "=",
        "=",
        "=",
        "=",
        "\n",
        "\n",
        "\n",
        "[",
        "]",
        "{",
        "}",
        ",",
        "\"static\"",
        "\"dynamic\"",
        "\"customer\"",
        "\"203.0.113.0/24\"",
        "\"203.0.113.8/29\"",
        "\"::/0\"",
        "\"none\"",
        "\"*.toml\"",
        "\"customers.d/*.toml\"",
        "25",
        "\"25/tcp\"",
        "65536",
        "true",
        "2027-01-31",
        "2027-01-31T00:00:00",
        "\"monitor\"",
        "#",
        ".",
        "\"",
    ];
    for _ in 0..4_000 {
        let mut file = String::new();
        for _ in 0..random.below(80) {
            file.push_str(random.pick(words));
            file.push_str(random.pick(&[" ", "", "\n"]));
        }
        survives(file.as_bytes());
    }
}
