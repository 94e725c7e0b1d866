//! How a list looks: to people, and to programs.

use super::out::Out;
use super::window::{Order, Sort};
use crate::date::{Date, Form, IMF};

/// `2026-11-21 20:31`, in UTC.
const SHORT: Form = Form("%Y-%m-%d %H:%M");

/// One line of a list.
pub(crate) struct Line<'l> {
    pub(crate) name: &'l [u8],
    pub(crate) directory: bool,
    pub(crate) size: u64,
    /// In seconds since 1970.
    pub(crate) modified: i64,
    /// Where it redirects to, if it does.
    pub(crate) elsewhere: Option<&'l [u8]>,
}

/// What is around the lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Page {
    Html,
    Json,
}

const STYLE: &str = include_str!("style.css");

impl Page {
    pub(crate) fn kind(self) -> &'static str {
        match self {
            Page::Html => "text/html; charset=utf-8",
            Page::Json => "application/json",
        }
    }

    /// `path` is that of the directory beneath the root, empty or with a slash at its end.
    pub(crate) fn begin(self, out: &mut Out<'_, '_, '_>, path: &[u8], order: Order) {
        if self == Page::Json {
            out.str("[");
            return;
        }
        out.str("<!DOCTYPE html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<title>/");
        html(out, path);
        out.str("</title>\n<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n");
        out.str("<meta name=\"color-scheme\" content=\"light dark\">\n<style>\n").str(STYLE).str("</style>\n<h1>");
        crumbs(out, path);
        out.str("</h1>\n<table>\n<thead><tr>");
        for (by, title, name) in
            [(Sort::Name, "Name", "name"), (Sort::Size, "Size", "size"), (Sort::Date, "Modified (UTC)", "date")]
        {
            let current = by == order.by;
            out.str("<th scope=\"col\"");
            if current {
                out.str(" aria-sort=\"").str(if order.descending { "descending" } else { "ascending" }).str("\"");
            }
            out.str("><a href=\"?sort=").str(name);
            out.str(if current && !order.descending { "&amp;order=desc\">" } else { "\">" }).str(title).str("</a>");
        }
        out.str("\n<tbody>\n");
        if !path.is_empty() {
            out.str("<tr class=\"d\"><td><a href=\"../\">..</a><td><td>\n");
        }
    }

    pub(crate) fn line(self, out: &mut Out<'_, '_, '_>, line: &Line<'_>, first: bool) {
        let date = Date::from_unix(line.modified);
        if self == Page::Json {
            out.str(if first { "\n" } else { ",\n" }).str("{\"name\":\"");
            json(out, line.name);
            let kind = match line.elsewhere {
                Some(_) => "redirect",
                None if line.directory => "directory",
                None => "file",
            };
            out.str("\",\"type\":\"").str(kind).str("\",\"href\":\"./");
            url(out, line.name);
            out.str(if line.directory { "/" } else { "" }).str("\",\"mtime\":\"");
            out.text(|text| date.write(text, &IMF));
            if let Some(target) = line.elsewhere {
                out.str("\",\"target\":\"");
                json(out, target);
                out.str("\"}");
            } else if !line.directory {
                out.str("\",\"size\":").text(|text| {
                    text.decimal(line.size);
                });
                out.str("}");
            } else {
                out.str("\"}");
            }
            return;
        }
        out.str(if line.directory { "<tr class=\"d\"><td><a href=\"./" } else { "<tr><td><a href=\"./" });
        url(out, line.name);
        let slash = if line.directory { "/" } else { "" };
        out.str(slash).str("\">");
        html(out, line.name);
        if let Some(target) = line.elsewhere {
            out.str(" <small>\u{2192} ");
            html(out, target);
            out.str("</small>");
        }
        out.str(slash).str("</a><td>");
        if !line.directory && line.elsewhere.is_none() {
            out.text(|text| size(text, line.size));
        }
        out.str("<td>").text(|text| date.write(text, &SHORT));
        out.str("\n");
    }

    pub(crate) fn end(self, out: &mut Out<'_, '_, '_>, count: u64) {
        if self == Page::Json {
            out.str("\n]\n");
            return;
        }
        out.str("</table>\n<p>").text(|text| {
            text.decimal(count);
        });
        out.str(if count == 1 { " entry\n" } else { " entries\n" });
    }
}

/// The path, each directory a link. They are relative, so that a proxy may have taken a prefix away.
fn crumbs(out: &mut Out<'_, '_, '_>, path: &[u8]) {
    let above = path.iter().filter(|&&byte| byte == b'/').count();
    let mut left = above;
    let link = |out: &mut Out<'_, '_, '_>, up: usize| {
        out.str("<a href=\"./");
        (0..up).for_each(|_| {
            out.str("../");
        });
        out.str("\">");
    };
    link(out, left);
    out.str("/</a>");
    for name in path.split_inclusive(|&byte| byte == b'/') {
        left = left.saturating_sub(1);
        link(out, left);
        html(out, name);
        out.str("</a>");
    }
}

/// `512 B`, `1.2 KiB`, `34 MiB`: two digits are what one compares by.
fn size(text: &mut crate::Text<'_>, bytes: u64) {
    let (mut whole, mut tenths, mut unit) = (bytes, 0, 0);
    while whole >= 1024 {
        tenths = whole % 1024 * 10 / 1024;
        whole /= 1024;
        unit += 1;
    }
    text.decimal(whole);
    if unit > 0 && whole < 10 {
        text.str(".").decimal(tenths);
    }
    let unit = "B  KiBMiBGiBTiBPiBEiB".get(unit * 3..unit * 3 + 3).unwrap_or_default();
    text.str(" ").str(unit.trim_ascii_end());
}

/// Text in HTML. Control characters have no place there.
fn html(out: &mut Out<'_, '_, '_>, text: &[u8]) {
    for &byte in text {
        match byte {
            b'&' => out.str("&amp;"),
            b'<' => out.str("&lt;"),
            b'>' => out.str("&gt;"),
            b'"' => out.str("&quot;"),
            b'\'' => out.str("&#39;"),
            ..b' ' | 0x7f => out.str("\u{fffd}"),
            byte => out.bytes(&[byte]),
        };
    }
}

/// A segment of a URL: all but unreserved characters escaped (RFC 3986 section 2.3).
fn url(out: &mut Out<'_, '_, '_>, text: &[u8]) {
    for &byte in text {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.bytes(&[byte]);
        } else {
            out.text(|text| {
                text.str("%").digits(byte.into(), 16, 2);
            });
        }
    }
}

/// Text in a string of JSON, which is UTF-8: what is not is shown as U+FFFD.
pub(crate) fn json(out: &mut Out<'_, '_, '_>, text: &[u8]) {
    for chunk in text.utf8_chunks() {
        for byte in chunk.valid().bytes() {
            match byte {
                b'"' | b'\\' => out.bytes(&[b'\\', byte]),
                ..b' ' | 0x7f => out.text(|text| {
                    text.str("\\u").digits(byte.into(), 16, 4);
                }),
                byte => out.bytes(&[byte]),
            };
        }
        if !chunk.invalid().is_empty() {
            out.str("\u{fffd}");
        }
    }
}
