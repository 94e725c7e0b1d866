//! A bar for each method.

use super::paint::{Anchor, COLOURS, Canvas, escape, text_width};
use super::scale::Scale;
use super::{Form, capital, number, tip};
use crate::bench::experiment::{Graph, Scale as Spread};
use crate::bench::samples::Series;
use crate::bench::stats::Summary;

/// One method.
struct Bar {
    name: String,
    colour: usize,
    summary: Summary,
    /// An earlier run's median.
    old: Option<f64>,
}

/// How thick a bar is.
const THICK: f64 = 22.0;

/// A tail longer than so many medians does not widen the picture: its whisker has an arrow.
const FAR: f64 = 3.0;

/// Draws them below what is on the canvas already, the first on top. `label` is what the axis says.
pub fn draw(canvas: &mut Canvas, graph: &Graph, series: &[Series], old: &[Series], form: Form, label: &str) {
    let bars: Vec<Bar> = series.iter().filter_map(|series| bar(series, old)).collect();
    let names = bars.iter().map(|bar| text_width(&bar.name)).fold(0.0, f64::max);
    // On a telephone the name stands above its bar.
    let narrow = form == Form::Narrow;
    let (left, step) = if narrow { (14.0, 54.0) } else { (names + 40.0, 40.0) };
    let right = canvas.width - 96.0;
    let top = canvas.height + 12.0;
    let bottom = top + step * bars.len() as f64;
    let reach = bars.iter().flat_map(|bar| {
        let Summary { median, p95, .. } = bar.summary;
        [median, p95.min(FAR * median), bar.old.unwrap_or(median)]
    });
    // A bar's length is its value: it begins with zero, whatever the axis of the experiment is.
    let scale = Scale::over(reach, Spread::Linear, graph.y.unit, (left, right));
    for tick in scale.ticks(if narrow { 3 } else { 6 }) {
        let x = scale.place(tick);
        canvas.line((x, top), (x, bottom), "grid");
        canvas.text((x, bottom + 18.0), Anchor::Middle, "dim", &number::text(graph.y.unit, tick));
    }
    for (i, bar) in bars.iter().enumerate() {
        let upper = top + step * i as f64 + if narrow { 24.0 } else { 9.0 };
        let (place, anchor) =
            if narrow { ((left, upper - 6.0), Anchor::Start) } else { ((left - 10.0, upper + 15.5), Anchor::End) };
        canvas.text(place, anchor, "", &bar.name);
        one(canvas, graph, bar, &scale, upper);
        let value = number::text(graph.y.unit, bar.summary.median);
        canvas.text((right + 12.0, upper + THICK / 2.0 + 4.5), Anchor::Start, "", &value);
    }
    canvas.line((left, top), (left, bottom), "axis");
    canvas.text(((left + right) / 2.0, bottom + 40.0), Anchor::Middle, "", &capital(label));
    canvas.height = bottom + 50.0;
}

fn bar(series: &Series, old: &[Series]) -> Option<Bar> {
    let summary = series.together().summary()?;
    let old = old.iter().find(|old| old.method == series.method).and_then(|old| old.together().summary());
    let old = old.map(|old| old.median);
    Some(Bar { name: series.method.clone(), colour: series.colour % COLOURS, summary, old })
}

/// A bar, its whisker, and where it was in an earlier run.
fn one(canvas: &mut Canvas, graph: &Graph, bar: &Bar, scale: &Scale, upper: f64) {
    let Bar { name, colour, summary, old } = bar;
    let left = scale.place(0.0);
    let width = scale.place(summary.median) - left;
    canvas.put(format_args!(
        r#"<rect class="f{colour}" x="{left:.1}" y="{upper:.1}" width="{width:.1}" height="{THICK}" rx="2"><title>{}</title></rect>"#,
        escape(&tip(graph, name, "", summary))
    ));
    let middle = upper + THICK / 2.0;
    let (low, high) = (scale.place(summary.p5), scale.place(summary.p95));
    canvas.path(&[(low, middle), (high, middle)], "whisker");
    canvas.line((low, middle - 4.0), (low, middle + 4.0), "whisker");
    if scale.is_beyond(summary.p95) {
        canvas.path(&[(high - 6.0, middle - 4.0), (high, middle), (high - 6.0, middle + 4.0)], "whisker");
    } else {
        canvas.line((high, middle - 4.0), (high, middle + 4.0), "whisker");
    }
    if let Some(old) = old {
        let x = scale.place(*old);
        canvas.line((x, upper - 3.0), (x, upper + THICK + 3.0), "whisker old");
    }
}
