//! The table, while it is measured; and the same as CSV.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use crate::common::Result;

/// What one server did.
pub struct Row {
    /// Who.
    pub name: &'static str,
    /// Connections that were held, and after how many seconds.
    pub held: u64,
    pub reached: f64,
    /// Processes that the server had made then.
    pub processes: usize,
    /// Bytes for each.
    pub each: f64,
    /// Median and 99th percentile of a new client's wait in seconds, before and meanwhile.
    pub unloaded: [f64; 2],
    pub loaded: [f64; 2],
    /// Seconds from the clients' end to the last process's.
    pub gone: Option<f64>,
    pub zombies: usize,
    /// Seconds from SIGTERM to the server's end.
    pub stopped: Option<f64>,
}

/// Collects rows.
pub struct Report {
    csv: String,
}

impl Report {
    /// Prints the head of the table.
    pub fn begin(count: u64) -> Report {
        println!("{count} connections, every tenth of them slow:");
        println!(
            "| server | held | after s | processes | KiB each | new client alone, ms: median, p99 | meanwhile | ratio | \
             all gone after s | zombies | stopped after s |"
        );
        println!("| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |");
        let csv = "server,held,seconds,processes,bytes_each,median_alone,p99_alone,median,p99,gone,zombies,stopped\n";
        Report { csv: csv.to_owned() }
    }

    /// Prints a line.
    pub fn row(&mut self, row: &Row) {
        let &Row { name, held, reached, processes, each, unloaded, loaded, gone, zombies, stopped } = row;
        let ms = |[median, p99]: [f64; 2]| format!("{:.2}, {:.2}", median * 1e3, p99 * 1e3);
        let ratio = format!("{:.2}, {:.2}", loaded[0] / unloaded[0], loaded[1] / unloaded[1]);
        let seconds = |time: Option<f64>| time.map_or("-".to_owned(), |time| format!("{time:.2}"));
        println!(
            "| {name} | {held} | {reached:.1} | {processes} | {:.1} | {} | {} | {ratio} | {} | {zombies} | {} |",
            each / 1024.0,
            ms(unloaded),
            ms(loaded),
            seconds(gone),
            seconds(stopped)
        );
        let (gone, stopped) = (gone.unwrap_or(f64::NAN), stopped.unwrap_or(f64::NAN));
        // Writing to a String cannot fail.
        let _ = writeln!(
            self.csv,
            "{name},{held},{reached},{processes},{each},{},{},{},{},{gone},{zombies},{stopped}",
            unloaded[0], unloaded[1], loaded[0], loaded[1]
        );
    }

    /// Writes the CSV.
    pub fn end(&self, path: &Path) -> Result<()> {
        fs::write(path, &self.csv).map_err(|error| format!("unable to write {}: {error}", path.display()))?;
        println!("The numbers are in {}", path.display());
        Ok(())
    }
}
