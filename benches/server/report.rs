//! What was measured: printed line by line, and kept for a file.

use std::fs;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Map, Value, json};

use crate::{Outcome, machine};

/// One line of the table.
pub(crate) struct Row {
    /// As the README's table names it: "fan-out", "durable sends", "memory".
    pub measure: &'static str,
    /// What it was measured with: "500 receivers, 8 senders".
    pub case: String,
    /// Names with their units, in the order they are printed: ("deliveries/s", 123.0).
    pub figures: Vec<(&'static str, f64)>,
    /// What the bare loop did in the same run on the same core: in words, and its figure.
    pub limit: Option<(String, f64)>,
    /// The first figure by the limit's.
    pub ratio: Option<f64>,
    /// The goal in words and whether it is met: ("at least 0.85 of the bare loop", true).
    pub goal: Option<(String, bool)>,
}

/// All lines so far.
#[derive(Default)]
pub(crate) struct Report {
    rows: Vec<Row>,
}

impl Report {
    /// Prints the line at once.
    pub(crate) fn add(&mut self, row: Row) {
        if self.rows.is_empty() {
            println!("| measure | case | figures | limit | ratio | goal |");
            println!("|---|---|---|---|--:|---|");
        }
        let figures = row.figures.iter().map(|(name, figure)| format!("{} {name}", shown(*figure)));
        let figures = figures.collect::<Vec<_>>().join(", ");
        let limit =
            row.limit.as_ref().map(|(words, figure)| format!("{words}: {}", shown(*figure)));
        let ratio = row.ratio.map(|ratio| format!("{ratio:.2}"));
        let goal = row.goal.as_ref().map(|(words, met)| {
            let verdict = if *met { "met" } else { "MISSED" };
            format!("{words}: {verdict}")
        });
        let [limit, ratio, goal] = [limit, ratio, goal].map(Option::unwrap_or_default);
        println!("| {} | {} | {figures} | {limit} | {ratio} | {goal} |", row.measure, row.case);
        self.rows.push(row);
    }

    /// The lines of one measure.
    pub(crate) fn rows_of(&self, measure: &str) -> impl Iterator<Item = &Row> {
        self.rows.iter().filter(move |row| row.measure == measure)
    }

    /// Writes all of it as JSON: machine, date, rows.
    pub(crate) fn write(&self, file: &Path) -> Outcome<()> {
        let rows: Vec<Value> = self.rows.iter().map(encode).collect();
        let date = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
        let report = json!({ "machine": machine::describe()?, "date": date, "rows": rows });
        Ok(fs::write(file, format!("{report:#}\n"))?)
    }
}

fn encode(row: &Row) -> Value {
    let figures = row.figures.iter().map(|(name, figure)| ((*name).to_owned(), json!(figure)));
    json!({
        "measure": row.measure,
        "case": row.case,
        "figures": figures.collect::<Map<_, _>>(),
        "limit": row.limit.as_ref().map(|(words, figure)| json!({ "of": words, "figure": figure })),
        "ratio": row.ratio,
        "goal": row.goal.as_ref().map(|(words, met)| json!({ "of": words, "met": met })),
    })
}

/// Three digits at least, and none behind the point that nobody reads.
fn shown(figure: f64) -> String {
    match figure.abs() {
        100.0.. => format!("{figure:.0}"),
        10.0.. => format!("{figure:.1}"),
        _ => format!("{figure:.2}"),
    }
}
