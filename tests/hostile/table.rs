//! The corpus as a table, for people: `tests/run --corpus`.

use crate::corpus::rows;
use crate::network;
use crate::stage::{CALL, seen};

#[test]
fn the_whole_corpus_ends_as_its_table_says() {
    println!("\n{:<60}{:<32}{:<32}{:>6}{:>10}", "guest", "expected", "seen", "ms", "late, ms");
    let (mut wrong, mut latest) = (Vec::new(), 0);
    let rows = rows();
    for row in &rows {
        let seen = match seen(row.name) {
            Ok(seen) => seen,
            Err(why) => {
                network::not_run(row.name, &why);
                println!("{:<60}{:<32}NOT RUN", row.name, row.end());
                continue;
            }
        };
        let late = seen.overrun.map_or_else(String::new, |overrun| format!("{:.1}", overrun as f64 / 1000.0));
        println!("{:<60}{:<32}{:<32}{:>6}{late:>10}", row.name, row.end(), seen.end, seen.milliseconds);
        latest = latest.max(seen.overrun.unwrap_or(0));
        if !seen.faults.is_empty() {
            println!("    {}\n    {}", seen.faults.join("; "), seen.message);
            wrong.push(row.name);
        }
    }
    println!(
        "\n{} guests, {} not as expected. The last of those that were stopped was stopped {:.1} ms after its {} s were over.",
        rows.len(),
        wrong.len(),
        latest as f64 / 1000.0,
        CALL.as_secs()
    );
    assert!(wrong.is_empty(), "{wrong:?}");
}
