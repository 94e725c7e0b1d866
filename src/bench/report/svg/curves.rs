//! Lines over x, and distributions over the percentile.

use super::paint::{Anchor, COLOURS, Canvas, text_width};
use super::scale::Scale;
use super::{Form, capital, number, tip};
use crate::bench::experiment::{Graph, Kind, Scale as Spread, Unit};
use crate::bench::samples::Series;

/// One line.
struct Curve {
    name: String,
    /// Which colour and mark.
    colour: usize,
    /// Whether it is of an earlier run.
    old: bool,
    points: Vec<Place>,
}

/// A point of it, in numbers.
struct Place {
    x: f64,
    y: f64,
    /// The ends of the band, and the largest; for a distribution there is none.
    band: Option<(f64, f64, f64)>,
    tip: String,
}

/// The percentiles of a distribution, as parts; the distance to 1 is what is drawn.
const PERCENTILES: [f64; 13] = [0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.98, 0.99, 0.995, 0.999, 0.9999, 0.99999];

/// A value beyond so many medians does not widen the picture: it is marked at the edge.
const FAR: f64 = 4.0;

/// About how many numbers stand beside the vertical axis.
const TICKS: usize = 8;

/// Draws them below what is on the canvas already.
pub fn draw(canvas: &mut Canvas, graph: &Graph, series: &[Series], old: &[Series], form: Form) {
    let mut curves: Vec<Curve> = Vec::new();
    for now in series {
        let colour = now.colour;
        curves.push(curve(graph, now, colour, false));
        if let Some(before) = old.iter().find(|before| before.method == now.method) {
            curves.push(curve(graph, before, colour, true));
        }
    }
    let narrow = form == Form::Narrow;
    let top = canvas.height + if narrow { 26.0 } else { 30.0 };
    let bottom = top + if narrow { 270.0 } else { 340.0 };
    let all = || curves.iter().flat_map(|curve| &curve.points);
    let reach = all().flat_map(|p| match p.band {
        Some((low, high, _)) => [p.y, low.max(p.y / FAR), high.min(p.y * FAR)],
        None => [p.y; 3],
    });
    let vertical = Scale::over(reach, graph.y.scale, graph.y.unit, (bottom, top)).loosen(0.04);
    // As wide as the numbers beside it, and the names behind it.
    let numbers = vertical.ticks(TICKS).into_iter().map(|tick| text_width(&number::text(graph.y.unit, tick)));
    let left = numbers.fold(0.0, f64::max) + if narrow { 12.0 } else { 30.0 };
    let right = canvas.width - if narrow { 26.0 } else { widest(&curves) + 34.0 };
    let horizontal = match graph.kind {
        Kind::Distribution => Scale::over(all().map(|p| p.x), Spread::Log, Unit::Count, (left, right)),
        _ => Scale::over(all().map(|p| p.x), graph.x.scale, graph.x.unit, (left, right)).loosen(0.02),
    };
    let mut xs: Vec<f64> = all().map(|p| p.x).collect();
    xs.sort_by(f64::total_cmp);
    xs.dedup();
    axes(canvas, graph, form, xs, &horizontal, &vertical, [left, right, top, bottom]);
    // Many bands on each other are fog.
    let thin = if series.len() > 4 { " thin" } else { "" };
    for curve in &curves {
        lines(canvas, curve, thin, &horizontal, &vertical);
    }
    for curve in curves.iter().filter(|curve| !curve.old) {
        marks(canvas, curve, &horizontal, &vertical, graph.kind);
    }
    canvas.height = bottom + 50.0;
    if narrow {
        legend(canvas, &curves);
    } else {
        labels_at_the_ends(canvas, &curves, &horizontal, &vertical, [top, bottom]);
    }
}

fn curve(graph: &Graph, series: &Series, colour: usize, old: bool) -> Curve {
    let points = if graph.kind == Kind::Distribution {
        let all = series.together();
        // A percentile that no sample stands for is not drawn.
        let shares = PERCENTILES.into_iter().filter(|share| (1.0 - share) * all.count() as f64 >= 0.999);
        let place = |share: f64| {
            let y = all.quantile(share);
            let value = number::text(graph.y.unit, y);
            Place {
                x: 1.0 / (1.0 - share),
                y,
                band: None,
                tip: format!("{}: {} % up to {value}", series.method, percent(share)),
            }
        };
        shares.map(place).collect()
    } else {
        let place = |point: &crate::bench::samples::Point| {
            let s = &point.summary;
            let at = format!(" at {} {}", number::text(graph.x.unit, point.x), graph.x.label);
            Place { x: point.x, y: s.median, band: Some((s.p5, s.p95, s.max)), tip: tip(graph, &series.method, &at, s) }
        };
        series.points.iter().map(place).collect()
    };
    Curve { name: series.method.clone(), colour, old, points }
}

fn percent(share: f64) -> String {
    let text = format!("{:.3}", share * 100.0);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn axes(
    canvas: &mut Canvas,
    graph: &Graph,
    form: Form,
    xs: Vec<f64>,
    horizontal: &Scale,
    vertical: &Scale,
    [left, right, top, bottom]: [f64; 4],
) {
    for tick in vertical.ticks(TICKS) {
        let y = vertical.place(tick);
        canvas.line((left, y), (right, y), "grid");
        canvas.text((left - 8.0, y + 4.5), Anchor::End, "dim", &number::text(graph.y.unit, tick));
    }
    let ticks: Vec<(f64, String)> = if graph.kind == Kind::Distribution {
        let shares = [0.0, 0.5, 0.9, 0.99, 0.999, 0.9999, 0.99999].into_iter();
        let there = shares.filter(|share| !horizontal.is_beyond(1.0 / (1.0 - share) * 0.999));
        there.map(|share| (1.0 / (1.0 - share), format!("{} %", percent(share)))).collect()
    } else {
        // Where it was measured, if that is few places.
        let ticks = if xs.len() <= 8 { xs } else { horizontal.ticks(if form == Form::Narrow { 5 } else { 7 }) };
        ticks.into_iter().map(|tick| (tick, number::text(graph.x.unit, tick))).collect()
    };
    let mut free_from = f64::NEG_INFINITY;
    for (tick, text) in ticks {
        let x = horizontal.place(tick);
        canvas.line((x, bottom), (x, bottom + 5.0), "axis");
        // A number that would run into the one before it is left out.
        let half = text_width(&text) / 2.0;
        if x - half > free_from {
            canvas.text((x, bottom + 20.0), Anchor::Middle, "dim", &text);
            free_from = x + half + 6.0;
        }
    }
    canvas.line((left, bottom), (right, bottom), "axis");
    let label = if graph.kind == Kind::Distribution {
        "Share of all that are no larger".into()
    } else {
        capital(graph.x.label)
    };
    canvas.text(((left + right) / 2.0, bottom + 42.0), Anchor::Middle, "", &label);
    canvas.text(
        (if form == Form::Narrow { 6.0 } else { 20.0 }, top - 12.0),
        Anchor::Start,
        "",
        &capital(graph.y.label),
    );
}

fn lines(canvas: &mut Canvas, curve: &Curve, thin: &str, horizontal: &Scale, vertical: &Scale) {
    let colour = curve.colour % COLOURS;
    let at = |x: f64, y: f64| (horizontal.place(x), vertical.place(y));
    if !curve.old && curve.points.len() > 1 {
        let lows = curve.points.iter().filter_map(|p| Some(at(p.x, p.band?.0)));
        let highs = curve.points.iter().rev().filter_map(|p| Some(at(p.x, p.band?.1)));
        let border: Vec<(f64, f64)> = lows.chain(highs).collect();
        if !border.is_empty() {
            canvas.path(&border, &format!("band f{colour}{thin}"));
        }
    }
    let line: Vec<(f64, f64)> = curve.points.iter().map(|p| at(p.x, p.y)).collect();
    canvas.path(&line, &format!("line c{colour}{}", if curve.old { " old" } else { "" }));
}

fn marks(canvas: &mut Canvas, curve: &Curve, horizontal: &Scale, vertical: &Scale, kind: Kind) {
    let colour = curve.colour % COLOURS;
    for point in &curve.points {
        let x = horizontal.place(point.x);
        if let Some((_, _, max)) = point.band {
            let y = vertical.place(max);
            // The largest: a dot, or an arrow at the edge beyond which it is.
            if vertical.is_beyond(max) {
                let (a, b) = (y - 1.0, y - 6.0);
                canvas
                    .put(format_args!(r#"<path class="far f{colour}" d="M{:.1} {a:.1}h6L{x:.1} {b:.1}z"/>"#, x - 3.0));
            } else {
                canvas.put(format_args!(r#"<circle class="far f{colour}" cx="{x:.1}" cy="{y:.1}" r="1.6"/>"#));
            }
        }
        if kind == Kind::Lines || curve.points.len() < 20 {
            canvas.mark(curve.colour, (x, vertical.place(point.y)), &point.tip);
        }
    }
}

fn widest(curves: &[Curve]) -> f64 {
    curves.iter().map(|curve| text_width(&curve.name)).fold(0.0, f64::max)
}

/// Names beside the ends of the lines, moved apart where they would lie on each other.
fn labels_at_the_ends(
    canvas: &mut Canvas,
    curves: &[Curve],
    horizontal: &Scale,
    vertical: &Scale,
    [top, bottom]: [f64; 2],
) {
    const HEIGHT: f64 = 17.0;
    let ends = curves.iter().filter(|curve| !curve.old).filter_map(|curve| {
        let last = curve.points.last()?;
        Some((curve, horizontal.place(last.x), vertical.place(last.y)))
    });
    let mut ends: Vec<(&Curve, f64, f64)> = ends.collect();
    ends.sort_by(|a, b| a.2.total_cmp(&b.2));
    let mut places: Vec<f64> = ends.iter().map(|end| end.2).collect();
    // Down from the top, then up from the bottom: what is pushed out at one end comes back from the other.
    for i in 1..places.len() {
        places[i] = places[i].max(places[i - 1] + HEIGHT);
    }
    if let Some(last) = places.last_mut() {
        *last = last.min(bottom.max(top + HEIGHT * ends.len() as f64));
    }
    for i in (1..places.len()).rev() {
        places[i - 1] = places[i - 1].min(places[i] - HEIGHT);
    }
    let right = canvas.width - widest(curves) - 12.0;
    for ((curve, x, y), place) in ends.into_iter().zip(places) {
        canvas.path(&[(x + 6.0, y), (right - 8.0, place), (right - 4.0, place)], "leader");
        canvas.text((right, place + 4.5), Anchor::Start, "", &curve.name);
    }
}

/// Names with their marks, in rows below.
fn legend(canvas: &mut Canvas, curves: &[Curve]) {
    let (mut x, mut y) = (14.0, canvas.height + 14.0);
    for curve in curves.iter().filter(|curve| !curve.old) {
        let width = text_width(&curve.name) + 32.0;
        if x + width > canvas.width && x > 14.0 {
            (x, y) = (14.0, y + 22.0);
        }
        canvas.mark(curve.colour, (x + 4.0, y - 4.5), &curve.name);
        canvas.text((x + 14.0, y), Anchor::Start, "", &curve.name);
        x += width;
    }
    canvas.height = y + 10.0;
}
