//! Pictures, written by hand: they follow the reader's light or dark colours, which no plotting crate's output does, and
//! need neither fonts nor a library on the machine that draws them.

mod bars;
mod curves;
mod paint;
mod scale;

use super::number;
use crate::bench::experiment::{Graph, Kind};
use crate::bench::samples::Series;
use crate::bench::says;
use paint::Canvas;
pub use paint::{STYLE, escape};

/// Where a picture is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// A file of its own.
    File,
    /// In a page, on a screen.
    Wide,
    /// In a page, on a telephone.
    Narrow,
}

impl Form {
    /// Width in the picture's own units, which are pixels where there is room.
    fn width(self) -> f64 {
        if self == Form::Narrow { 400.0 } else { 800.0 }
    }
}

/// A graph as a picture. `old` is an earlier run's, drawn beside.
pub fn draw(graph: &Graph, series: &[Series], old: &[Series], form: Form) -> String {
    let mut canvas = Canvas::new(form.width());
    if form == Form::File {
        canvas.heading(graph.title);
    }
    match (graph.kind, only_x(series)) {
        // A line needs two places.
        (Kind::Lines, Some(x)) => {
            let place = says::at(graph, x);
            let mut old = old.to_vec();
            old.iter_mut().for_each(|series| series.points.retain(|point| point.x == x));
            bars::draw(&mut canvas, graph, series, &old, form, &format!("{}, {}", graph.y.label, uncapital(&place)));
        }
        (Kind::Bars, _) => bars::draw(&mut canvas, graph, series, old, form, graph.y.label),
        (Kind::Lines | Kind::Distribution, _) => curves::draw(&mut canvas, graph, series, old, form),
    }
    let (width, height) = (canvas.width, canvas.height);
    let style = if form == Form::File { format!("<style>{STYLE}</style>") } else { String::new() };
    let background = if form == Form::File { r#"<rect class="paper" width="100%" height="100%"/>"# } else { "" };
    // A file is read as XML by its own; in a page the namespace is known, and an id must be unique.
    let class = match form {
        Form::File => "graph",
        Form::Wide => "graph wide",
        Form::Narrow => "graph narrow",
    };
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"{class}\" viewBox=\"0 0 {width} {height}\" role=\"img\" \
         aria-label=\"{}: {}\">{style}{background}\n{}</svg>\n",
        escape(graph.title),
        escape(&(graph.says)(graph, series)),
        canvas.body
    )
}

/// The x of all points, if there is but one.
fn only_x(series: &[Series]) -> Option<f64> {
    let mut xs = series.iter().flat_map(|series| &series.points).map(|point| point.x);
    let first = xs.next()?;
    xs.all(|x| x == first).then_some(first)
}

/// With the first letter small.
fn uncapital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_lowercase().chain(letters).collect()).unwrap_or_default()
}

/// With the first letter large.
pub fn capital(label: &str) -> String {
    let mut letters = label.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

/// What a reader sees who points at a method's value.
fn tip(graph: &Graph, method: &str, place: &str, summary: &crate::bench::stats::Summary) -> String {
    let show = |value| number::text(graph.y.unit, value);
    format!(
        "{method}{place}: median {}, 90 % between {} and {}, 99 % up to {}, largest {}, {} samples",
        show(summary.median),
        show(summary.p5),
        show(summary.p95),
        show(summary.p99),
        show(summary.max),
        number::text(crate::bench::experiment::Unit::Count, summary.count as f64)
    )
}
