//! The command line: what stands behind `cargo bench --bench peers --`.

use std::str::FromStr;

use crate::common::Result;
use crate::{exec, rows};

/// How much is measured, and which rows.
pub struct Options {
    /// How often each server gets its turn.
    pub rounds: usize,
    /// How long a turn lasts; `wrk` takes whole seconds.
    pub seconds: u32,
    /// How many connections `wrk` keeps busy.
    pub connections: u32,
    /// How many children our pools have; the same in all rows.
    pub children: u32,
    rows: Vec<String>,
}

const HELP: &str = "\
usage: cargo bench --bench peers -- [OPTIONS]
  --rounds N       turns of each server (7)
  --seconds N      length of a turn (2)
  --connections N  connections that wrk keeps busy (16)
  --children N     children of our pools (64)
  --rows A,B       these rows alone:";

impl Options {
    /// Reads the words of the command line; `None` when they ask for help, which has been given.
    pub fn from_arguments(mut words: impl Iterator<Item = String>) -> Result<Option<Options>> {
        let mut options = Options { rounds: 7, seconds: 2, connections: 16, children: 64, rows: Vec::new() };
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or(format!("{word} wants a value"));
            match word.as_str() {
                "--bench" => {} // cargo says it to every benchmark
                "--rounds" => options.rounds = positive(&value()?)?,
                "--seconds" => options.seconds = positive(&value()?)?,
                "--connections" => options.connections = positive(&value()?)?,
                "--children" => options.children = positive(&value()?)?,
                "--rows" => options.rows = value()?.split(',').map(str::to_owned).collect(),
                "--help" => {
                    println!("{HELP} {}", names().collect::<Vec<_>>().join(" "));
                    return Ok(None);
                }
                _ => return Err(format!("unknown option {word}: see --help")),
            }
        }
        match options.rows.iter().find(|row| !names().any(|name| name == *row)) {
            Some(row) => Err(format!("there is no row {row}: see --help")),
            None => Ok(Some(options)),
        }
    }

    /// Whether this row is to be measured.
    pub fn wants(&self, row: &str) -> bool {
        self.rows.is_empty() || self.rows.iter().any(|wanted| wanted == row)
    }
}

fn names() -> impl Iterator<Item = &'static str> {
    rows::ALL.iter().map(|row| row.name).chain([exec::EXEC, exec::SIZE])
}

fn positive<T: FromStr + PartialEq + Default>(text: &str) -> Result<T> {
    text.parse().ok().filter(|n| *n != T::default()).ok_or(format!("{text} is not a positive number"))
}
