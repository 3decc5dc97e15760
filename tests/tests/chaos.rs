//! Nothing that happens to the controller lets a wrong frame through, or keeps a
//! right one out. Needs root. `cargo xtask chaos` does the same for longer.

use poolguard_tests::chaos::{HEAD, Plan, inject};

#[test]
fn no_fault_makes_a_verdict_wrong() {
    let mut rows = Vec::new();
    println!("{HEAD}");
    inject(&Plan::SHORT, "", |row| {
        println!("{row}");
        rows.push(row);
    });
    for row in &rows {
        assert_eq!(row.wrong(), 0, "{row:?}");
        assert!(row.times > 0, "it came about: {row:?}");
        assert!(row.permitted > 0 && row.forbidden > 0, "{row:?}");
    }
}
