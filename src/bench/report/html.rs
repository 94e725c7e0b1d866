//! report.html: one file that needs no other, for a person to read.

use super::csv::Earlier;
use super::svg::{self, Form, capital, escape};
use super::table;
use crate::bench::experiment::{Experiment, Graph};
use crate::bench::machine::Machine;
use crate::bench::samples::{Results, Series};
use crate::bench::warnings::Warning;

/// All that is on the page.
pub struct Page<'a> {
    pub machine: &'a Machine,
    pub done: &'a [(&'static Experiment, Results)],
    pub warnings: &'a [Warning],
    pub earlier: Option<&'a Earlier>,
    /// The user ended the run.
    pub interrupted: bool,
}

impl Page<'_> {
    /// The page.
    pub fn text(&self) -> String {
        let (style, graphs) = (include_str!("page.css"), svg::STYLE);
        let mut text = format!(
            "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <meta name=\"color-scheme\" content=\"light dark\">\n<title>tine bench: {}</title>\n\
             <style>\n{style}{graphs}</style>\n</head>\n<body>\n<main>\n",
            escape(self.fact("Processor"))
        );
        text += &self.header();
        for (experiment, results) in self.done {
            text += &self.experiment(experiment, results);
        }
        text += &self.footer();
        text + "</main>\n</body>\n</html>\n"
    }

    fn fact(&self, label: &str) -> &str {
        self.machine.facts.iter().find(|(found, _)| *found == label).map_or("unknown", |(_, text)| text)
    }

    /// What was measured on what, what came out, and what to mind.
    fn header(&self) -> String {
        let mut text = format!(
            "<header>\n<h1>What a process costs on this machine</h1>\n<p class=\"where\">{} · {} · {} · {}</p>\n",
            escape(self.fact("Processor")),
            escape(self.fact("Memory")),
            escape(self.fact("Kernel").split(" (").next().unwrap_or_default()),
            escape(self.fact("Date"))
        );
        if self.interrupted {
            text += "<p class=\"box\">The run was interrupted: what was measured until then is here.</p>\n";
        }
        if !self.warnings.is_empty() {
            text += "<aside class=\"box\">\n<h2>Read with care</h2>\n<ul>\n";
            for Warning { symptom, cause, remedy } in self.warnings {
                text += &format!(
                    "<li><b>{}.</b> {}. {}.</li>\n",
                    escape(&capital(symptom)),
                    escape(&capital(cause)),
                    escape(&capital(remedy))
                );
            }
            text += "</ul>\n</aside>\n";
        }
        text += "</header>\n<nav>\n<h2>In short</h2>\n<ul>\n";
        for (experiment, results) in self.done {
            let graphs = results.graphs(experiment.graphs);
            let link = |graph: &Graph| format!("<a href=\"#{}\">{}</a>", id(experiment, graph), escape(graph.title));
            // What matters most comes first in an experiment; the others are pointed at.
            if let Some(((first, series), rest)) = graphs.split_first() {
                text += &format!("<li><b>{}</b> {}", link(first), escape(&(first.says)(first, series)));
                let rest: Vec<String> = rest.iter().map(|(graph, _)| link(graph)).collect();
                if !rest.is_empty() {
                    text += &format!(" <span class=\"more\">{}</span>", rest.join(" · "));
                }
                text += "</li>\n";
            }
        }
        text + "</ul>\n</nav>\n"
    }

    fn experiment(&self, experiment: &Experiment, results: &Results) -> String {
        let mut text = format!("<section>\n<h2><code>{}</code> {}</h2>\n", experiment.name, escape(experiment.about));
        let old = self.earlier.and_then(|earlier| earlier.results(experiment.name));
        for (graph, series) in results.graphs(experiment.graphs) {
            let old = old.map(|old| old.series(graph.name));
            text += &figure(experiment, graph, &series, old.as_deref());
        }
        let remarks = table::remarks(results);
        if !remarks.is_empty() {
            let items: String =
                remarks.iter().map(|remark| format!("<li>{}</li>\n", escape(&capital(remark)))).collect();
            text += &format!("<ul class=\"remarks\">\n{items}</ul>\n");
        }
        text + "</section>\n"
    }

    /// The machine, and what the numbers mean.
    fn footer(&self) -> String {
        let mut text = String::from(
            "<footer>\n<h2>How it was measured</h2>\n<p>Lines are medians; bands, and whiskers on \
             bars, reach from the 5th to the 95th percentile; dots are the largest samples, arrows those beyond the edge. \
             Percentiles are values that were measured, nearest rank. \"Far out\" counts samples that are beyond the \
             quartiles by more than three times their distance; they count like all others. Methods take turns in every \
             round. What a reading of the clock takes is part of every time, but where a note says otherwise. All samples are in <code>samples.csv</code>, the tables in <code>summary.csv</code>, each picture in \
             a file of its own.</p>\n",
        );
        text += &facts(self.machine.facts.iter().map(|(label, text)| (*label, text.as_str())));
        if let Some(earlier) = self.earlier {
            text += "<h2>The earlier run</h2>\n<p>Dashed lines, and the columns \"before\" and \"ratio\" (this run's median \
                     over the earlier one's).</p>\n";
            text += &facts(earlier.facts.iter().map(|(label, text)| (label.as_str(), text.as_str())));
        }
        text + "</footer>\n"
    }
}

fn figure(experiment: &Experiment, graph: &Graph, series: &[Series], old: Option<&[Series]>) -> String {
    let compared = old.and_then(|old| table::compared(graph, series, old));
    let compared =
        compared.map(|sentence| format!("<p class=\"says\">{}</p>\n", escape(&sentence))).unwrap_or_default();
    let [wide, narrow] = [Form::Wide, Form::Narrow].map(|form| svg::draw(graph, series, old.unwrap_or_default(), form));
    format!(
        "<figure id=\"{}\">\n<h3>{}</h3>\n<p class=\"says\">{}</p>\n{compared}{wide}{narrow}<figcaption>{}</figcaption>\n\
         <details>\n<summary>All numbers</summary>\n<div class=\"table\">\n{}</div>\n</details>\n</figure>\n",
        id(experiment, graph),
        escape(graph.title),
        escape(&(graph.says)(graph, series)),
        escape(graph.method),
        html_table(&table::rows(graph, series, old))
    )
}

fn html_table(rows: &[Vec<String>]) -> String {
    let mut text = String::from("<table>\n");
    for (i, row) in rows.iter().enumerate() {
        let cell = |(j, field): (usize, &String)| match (i, j) {
            (0, _) => format!("<th scope=\"col\">{}</th>", escape(field)),
            (_, 0) => format!("<th scope=\"row\">{}</th>", escape(field)),
            _ => format!("<td>{}</td>", escape(field)),
        };
        let cells: String = row.iter().enumerate().map(cell).collect();
        text += &format!("<tr>{cells}</tr>\n");
    }
    text + "</table>\n"
}

fn facts<'a>(facts: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    let items: String =
        facts.map(|(label, text)| format!("<dt>{}</dt><dd>{}</dd>\n", escape(label), escape(text))).collect();
    format!("<dl>\n{items}</dl>\n")
}

fn id(experiment: &Experiment, graph: &Graph) -> String {
    format!("{}-{}", experiment.name, graph.name)
}
