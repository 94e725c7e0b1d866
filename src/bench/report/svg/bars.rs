//! A bar for each method.

use super::paint::{Anchor, COLOURS, Canvas, escape, text_width};
use super::scale::Scale;
use super::{Form, capital, number, tip};
use crate::bench::experiment::{Graph, Scale as Spread};
use crate::bench::samples::Series;
use crate::bench::stats::Summary;

/// Draws them below what is on the canvas already, the first on top.
pub fn draw(canvas: &mut Canvas, graph: &Graph, series: &[Series], old: &[Series], form: Form) {
    let summary =
        |series: &Series| Some((series.method.clone(), series.colour % COLOURS, series.together().summary()?));
    let summaries = |all: &[Series]| all.iter().filter_map(summary).collect();
    let (now, before): (Vec<(String, usize, Summary)>, Vec<(String, usize, Summary)>) =
        (summaries(series), summaries(old));
    let names = now.iter().map(|(name, ..)| text_width(name)).fold(0.0, f64::max);
    // On a telephone the name stands above its bar.
    let (left, height) = if form == Form::Narrow { (14.0, 54.0) } else { (names + 40.0, 40.0) };
    let right = canvas.width - 84.0;
    let top = canvas.height + 12.0;
    let bottom = top + height * now.len() as f64;
    let reach = now.iter().chain(&before).flat_map(|(.., s)| [s.median, s.p95.min(3.0 * s.median)]);
    // A bar's length is its value: it begins with zero, whatever the axis of the experiment is.
    let scale = Scale::over(reach, Spread::Linear, graph.y.unit, (left, right));
    for tick in scale.ticks(if form == Form::Narrow { 3 } else { 6 }) {
        let x = scale.place(tick);
        canvas.line((x, top), (x, bottom), "grid");
        canvas.text((x, bottom + 18.0), Anchor::Middle, "dim", &number::text(graph.y.unit, tick));
    }
    for (i, (name, colour, summary)) in now.iter().enumerate() {
        let upper = top + height * i as f64 + if form == Form::Narrow { 24.0 } else { 9.0 };
        let thick = 22.0;
        let label = if form == Form::Narrow {
            ((left, upper - 6.0), Anchor::Start)
        } else {
            ((left - 10.0, upper + 15.5), Anchor::End)
        };
        canvas.text(label.0, label.1, "", name);
        let width = scale.place(summary.median) - left;
        canvas.put(format_args!(
            r#"<rect class="f{colour}" x="{left:.1}" y="{upper:.1}" width="{width:.1}" height="{thick}" rx="2"><title>{}</title></rect>"#,
            escape(&tip(graph, name, "", summary))
        ));
        let middle = upper + thick / 2.0;
        let (low, high) = (scale.place(summary.p5), scale.place(summary.p95));
        canvas.path(&[(low, middle), (high, middle)], "whisker");
        for end in [low, high] {
            canvas.line((end, middle - 4.0), (end, middle + 4.0), "whisker");
        }
        if let Some((.., old)) = before.iter().find(|(old, ..)| old == name) {
            let x = scale.place(old.median);
            canvas.line((x, upper - 3.0), (x, upper + thick + 3.0), &format!("line old c{colour}"));
        }
        canvas.text(
            (high.max(left + width) + 8.0, middle + 4.5),
            Anchor::Start,
            "",
            &number::text(graph.y.unit, summary.median),
        );
    }
    canvas.line((left, top), (left, bottom), "axis");
    canvas.text(((left + right) / 2.0, bottom + 40.0), Anchor::Middle, "", &capital(graph.y.label));
    canvas.height = bottom + 50.0;
}
