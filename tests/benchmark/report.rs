//! What was measured: a table for people, JSON for programs.

use std::fmt::Write;
use std::fs;

use serde_json::{Value, json};

/// Rows so far.
pub struct Report {
    rows: Vec<Row>,
}

struct Row {
    what: String,
    unit: &'static str,
    /// In order. One value for what does not vary.
    values: Vec<f64>,
    budget: Option<f64>,
}

impl Report {
    pub fn new() -> Self {
        Self { rows: Vec::new() }
    }

    /// Something that was measured several times, and what design demands of its median.
    pub fn row(&mut self, what: impl Into<String>, unit: &'static str, values: impl IntoIterator<Item = f64>, budget: Option<f64>) {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        let row = Row { what: what.into(), unit, values, budget };
        println!("{}", row.line(40));
        self.rows.push(row);
    }

    /// Something that is as it is.
    pub fn value(&mut self, what: impl Into<String>, unit: &'static str, value: f64, budget: Option<f64>) {
        self.row(what, unit, [value], budget);
    }

    /// Prints the table and writes the JSON where `WINDLASS_BENCHMARK_JSON` says.
    pub fn finish(self) {
        let width = self.rows.iter().map(|row| row.what.chars().count()).max().unwrap_or_default();
        let mut table = format!(
            "\n| {:width$} | median | 5 % to 95 % | runs | budget |\n|{}|---|---|---|---|\n",
            "what",
            "-".repeat(width + 2)
        );
        for row in &self.rows {
            writeln!(table, "{}", row.line(width)).unwrap();
        }
        println!("{table}\n{}", machine());
        if let Some(path) = std::env::var_os("WINDLASS_BENCHMARK_JSON").filter(|path| !path.is_empty()) {
            let rows: Vec<Value> = self.rows.iter().map(Row::json).collect();
            let json = json!({ "machine": machine(), "rows": rows });
            fs::write(path, serde_json::to_string_pretty(&json).unwrap() + "\n").unwrap();
        }
    }
}

impl Row {
    fn at(&self, share: f64) -> f64 {
        let last = self.values.len() - 1;
        self.values[(share * last as f64).round() as usize]
    }

    fn line(&self, width: usize) -> String {
        let Self { what, unit, values, budget } = self;
        if values.is_empty() {
            return format!("| {what:width$} | NOT RUN | | 0 | |");
        }
        let spread =
            if values.len() > 1 { format!("{} to {}", number(self.at(0.05)), number(self.at(0.95))) } else { String::new() };
        let budget = budget.map(|budget| {
            let missed = if self.at(0.5) > budget { ", missed" } else { "" };
            format!("{} {unit}{missed}", number(budget))
        });
        let (median, runs) = (number(self.at(0.5)), values.len());
        format!("| {what:width$} | {median} {unit} | {spread} | {runs} | {} |", budget.unwrap_or_default())
    }

    fn json(&self) -> Value {
        let Self { what, unit, values, budget } = self;
        if values.is_empty() {
            return json!({ "what": what, "unit": unit, "runs": 0 });
        }
        let (median, low, high) = (self.at(0.5), self.at(0.05), self.at(0.95));
        json!({ "what": what, "unit": unit, "runs": values.len(), "median": median, "p5": low, "p95": high, "budget": budget })
    }
}

/// Three figures are more than the machine repeats.
fn number(value: f64) -> String {
    match value.abs() {
        of if of >= 100.0 || of == of.trunc() => format!("{value:.0}"),
        of if of >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

/// The machine, as far as it matters.
fn machine() -> String {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info.lines().find_map(|line| line.strip_prefix("model name")).and_then(|rest| rest.split_once(": "));
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    format!("{}, {cores} cores, Linux {}", model.map_or("unknown processor", |(_, model)| model), kernel.trim())
}
