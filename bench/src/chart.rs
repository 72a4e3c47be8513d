//! The comparison as an SVG chart.

use std::fmt::Write;

use crate::compare::Comparison;

const WIDTH: f64 = 760.0;
const LEFT: f64 = 230.0;
const RIGHT: f64 = 80.0;
const TOP: f64 = 64.0;
const ROW: f64 = 34.0;

/// Draws a bar for each measured factor on a logarithmic scale, with a mark at its ideal.
pub(crate) fn draw(rows: &[Comparison]) -> String {
    let most = rows.iter().flat_map(|row| [Some(row.factor()), row.ideal]).flatten().fold(10.0, f64::max);
    let scale = (WIDTH - LEFT - RIGHT) / most.log10();
    let x = |factor: f64| LEFT + factor.max(1.0).log10() * scale;
    let bottom = TOP + ROW * rows.len() as f64;
    let mut svg = format!(
        concat!(
            r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {} {}" font-family="system-ui, sans-serif" font-size="13" role="img">"##,
            r##"<title>How many times faster than blocking code</title><rect width="100%" height="100%" fill="#fff"/>"##,
            r##"<text x="{}" y="24" font-size="16" font-weight="600">How many times faster than blocking code</text>"##,
            r##"<text x="{}" y="44" fill="#555">bars: measured; marks: the ideal, if nothing but waiting took time</text>"##,
        ),
        WIDTH,
        bottom + 32.0,
        20,
        20
    );
    for factor in [1.0, 3.0, 10.0, 30.0, 100.0] {
        if factor <= most {
            let at = x(factor);
            let _ = write!(
                svg,
                r##"<path d="M{at:.1} {TOP}V{bottom}" stroke="#ddd"/><text x="{at:.1}" y="{:.1}" fill="#555" text-anchor="middle">{factor}×</text>"##,
                bottom + 18.0
            );
        }
    }
    for (index, row) in rows.iter().enumerate() {
        let y = TOP + ROW * index as f64;
        let (middle, end) = (y + ROW / 2.0 + 4.5, x(row.factor()));
        let _ = write!(
            svg,
            r##"<text x="{:.1}" y="{middle:.1}" text-anchor="end">{}</text><rect x="{LEFT}" y="{:.1}" width="{:.1}" height="{:.1}" rx="3" fill="#2f6f6b"/>"##,
            LEFT - 10.0,
            row.name,
            y + 6.0,
            (end - LEFT).max(1.0),
            ROW - 12.0
        );
        let mut label = end;
        if let Some(ideal) = row.ideal {
            let at = x(ideal);
            label = label.max(at);
            let _ = write!(
                svg,
                r##"<path d="M{at:.1} {:.1}v{:.1}" stroke="#d1603d" stroke-width="3"/>"##,
                y + 2.0,
                ROW - 4.0
            );
        }
        let _ = write!(svg, r##"<text x="{:.1}" y="{middle:.1}">{:.1}×</text>"##, label + 8.0, row.factor());
    }
    svg.push_str("</svg>\n");
    svg
}
