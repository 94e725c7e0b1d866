//! Strokes and colours.

use std::fmt::{Display, Write};

/// How many series have a colour and a mark of their own.
pub const COLOURS: usize = 8;

/// Colours for light and dark paper, each with a contrast of 3 or more to its paper and told apart by people who see
/// fewer colours; marks and labels tell them apart too.
pub const STYLE: &str = "
.graph{font:13px/1.3 system-ui,-apple-system,'Segoe UI',Roboto,'Helvetica Neue',Arial,sans-serif}
.graph text{fill:#1d2430}.graph .dim{fill:#5a6472}.graph .heading{font-size:17px;font-weight:600}
.graph .grid{stroke:#dfe3e8;stroke-width:1}.graph .axis{stroke:#8a94a3;stroke-width:1}
.graph .leader{stroke:#b4bcc8;stroke-width:1;fill:none}.graph .paper{fill:#fff}
.graph .line{fill:none;stroke-width:2.25;stroke-linejoin:round;stroke-linecap:round}
.graph .old{stroke-dasharray:3 5;stroke-width:1.75}.graph .band{stroke:none;fill-opacity:.13}.graph .thin{fill-opacity:.06}
.graph .mark{stroke-width:1.5}.graph .far{fill-opacity:.55;stroke:none}.graph .whisker{stroke:#1d2430;stroke-width:1.5;fill:none}
.graph .c0{stroke:#0062a8}.graph .f0{fill:#0062a8}.graph .c1{stroke:#c84a00}.graph .f1{fill:#c84a00}
.graph .c2{stroke:#00805a}.graph .f2{fill:#00805a}.graph .c3{stroke:#a8327a}.graph .f3{fill:#a8327a}
.graph .c4{stroke:#8a6a00}.graph .f4{fill:#8a6a00}.graph .c5{stroke:#2e86b8}.graph .f5{fill:#2e86b8}
.graph .c6{stroke:#6b5bb5}.graph .f6{fill:#6b5bb5}.graph .c7{stroke:#59616c}.graph .f7{fill:#59616c}
@media (prefers-color-scheme:dark){
.graph text{fill:#e4e8ee}.graph .dim{fill:#a3adba}.graph .grid{stroke:#2c333d}.graph .axis{stroke:#6b7685}
.graph .leader{stroke:#4a5360}.graph .paper{fill:#14181d}.graph .band{fill-opacity:.2}.graph .thin{fill-opacity:.1}.graph .whisker{stroke:#e4e8ee}
.graph .c0{stroke:#5bb0f0}.graph .f0{fill:#5bb0f0}.graph .c1{stroke:#ff9355}.graph .f1{fill:#ff9355}
.graph .c2{stroke:#3cc79b}.graph .f2{fill:#3cc79b}.graph .c3{stroke:#ee8cc6}.graph .f3{fill:#ee8cc6}
.graph .c4{stroke:#ddb84a}.graph .f4{fill:#ddb84a}.graph .c5{stroke:#8ccbef}.graph .f5{fill:#8ccbef}
.graph .c6{stroke:#b0a4f0}.graph .f6{fill:#b0a4f0}.graph .c7{stroke:#aab2bd}.graph .f7{fill:#aab2bd}}
";

/// A picture in the making, from the top to the bottom.
pub struct Canvas {
    /// Of the whole.
    pub width: f64,
    /// So far.
    pub height: f64,
    /// Elements.
    pub body: String,
}

/// Where a text is fixed.
#[derive(Clone, Copy)]
pub enum Anchor {
    Start,
    Middle,
    End,
}

impl Canvas {
    /// Nothing yet.
    pub fn new(width: f64) -> Self {
        Canvas { width, height: 0.0, body: String::new() }
    }

    /// An element, as it is.
    pub fn put(&mut self, element: impl Display) {
        // Writing to a String cannot fail.
        let _ = writeln!(self.body, "{element}");
    }

    /// The picture's own title, in a file.
    pub fn heading(&mut self, title: &str) {
        self.height = 44.0;
        self.text((20.0, 28.0), Anchor::Start, "heading", title);
    }

    /// Text whose base line begins, is centred or ends there.
    pub fn text(&mut self, (x, y): (f64, f64), anchor: Anchor, class: &str, text: &str) {
        let anchor = match anchor {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        };
        self.put(format_args!(
            r#"<text x="{x:.1}" y="{y:.1}" text-anchor="{anchor}" class="{class}">{}</text>"#,
            escape(text)
        ));
    }

    /// A straight line.
    pub fn line(&mut self, (x1, y1): (f64, f64), (x2, y2): (f64, f64), class: &str) {
        self.put(format_args!(r#"<path class="{class}" d="M{x1:.1} {y1:.1}L{x2:.1} {y2:.1}"/>"#));
    }

    /// A line through points, or the border of an area.
    pub fn path(&mut self, points: &[(f64, f64)], class: &str) {
        let mut d = String::new();
        for (i, (x, y)) in points.iter().enumerate() {
            // Writing to a String cannot fail.
            let _ = write!(d, "{}{x:.1} {y:.1}", if i == 0 { 'M' } else { 'L' });
        }
        self.put(format_args!(r#"<path class="{class}" d="{d}"/>"#));
    }

    /// The mark of a series, with a text for who points at it.
    pub fn mark(&mut self, series: usize, (x, y): (f64, f64), tip: &str) {
        let i = series % COLOURS;
        let r = 4.0;
        let shape = match i {
            0 => format!(r#"<circle cx="{x:.1}" cy="{y:.1}" r="{r}""#),
            1 => polygon(x, y, &[(-r, -r), (r, -r), (r, r), (-r, r)]),
            2 => polygon(x, y, &[(0.0, -1.3 * r), (1.2 * r, r), (-1.2 * r, r)]),
            3 => polygon(x, y, &[(0.0, -1.4 * r), (1.4 * r, 0.0), (0.0, 1.4 * r), (-1.4 * r, 0.0)]),
            4 => polygon(x, y, &[(0.0, 1.3 * r), (1.2 * r, -r), (-1.2 * r, -r)]),
            5 => polygon(x, y, &[(-r, -r / 2.0), (r, -r / 2.0), (r, r / 2.0), (-r, r / 2.0)]),
            6 => polygon(x, y, &[(-r / 2.0, -r), (r / 2.0, -r), (r / 2.0, r), (-r / 2.0, r)]),
            _ => format!(r#"<circle cx="{x:.1}" cy="{y:.1}" r="{}""#, r / 2.0),
        };
        self.put(format_args!(
            r#"{shape} class="mark c{i} f{i}"><title>{}</title></{}>"#,
            escape(tip),
            element(&shape)
        ));
    }
}

fn polygon(x: f64, y: f64, corners: &[(f64, f64)]) -> String {
    let points: Vec<String> = corners.iter().map(|(dx, dy)| format!("{:.1},{:.1}", x + dx, y + dy)).collect();
    format!(r#"<polygon points="{}""#, points.join(" "))
}

fn element(shape: &str) -> &str {
    if shape.starts_with("<circle") { "circle" } else { "polygon" }
}

/// Roughly how wide a text is at 13 pixels: letters differ, and a little too much is no harm.
pub fn text_width(text: &str) -> f64 {
    let width = |c| match c {
        'i' | 'j' | 'l' | 'f' | 't' | 'r' | '.' | ',' | ':' | '\'' | ' ' | '(' | ')' => 4.8,
        'm' | 'w' | '+' | '_' | 'A'..='Z' => 10.0,
        _ => 7.9,
    };
    text.chars().map(width).sum()
}

/// For text and attributes.
pub fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
