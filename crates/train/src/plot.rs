//! SVG figures of curves and dots.

use std::path::Path;

use plotters::prelude::*;

use crate::{Result, files::write_whole};

/// One curve.
#[derive(Debug, Clone)]
pub struct Series {
    /// Its name in the legend.
    pub name: String,
    /// Its points; those that are not finite are left out.
    pub points: Vec<(f64, f64)>,
    /// Whether they are joined; otherwise each is a dot.
    pub joined: bool,
}

/// One set of axes.
#[derive(Debug, Clone)]
pub struct Panel {
    /// What it shows.
    pub title: String,
    /// The x axis, with its unit.
    pub x_label: String,
    /// The y axis, with its unit.
    pub y_label: String,
    /// The curves.
    pub series: Vec<Series>,
    /// A horizontal line with its name, such as chance level.
    pub level: Option<(String, f64)>,
}

/// Blue, orange, green, purple of the Okabe-Ito palette, told apart by color-blind readers too.
const COLORS: [RGBColor; 4] =
    [RGBColor(0, 114, 178), RGBColor(213, 94, 0), RGBColor(0, 158, 115), RGBColor(204, 121, 167)];
const PANEL: (u32, u32) = (460, 320);

/// Writes panels side by side, two in a row, on white.
///
/// # Errors
/// [`crate::Error::Write`] naming `path`.
pub fn write_figure(path: &Path, title: &str, panels: &[Panel]) -> Result<()> {
    let columns = panels.len().clamp(1, 2);
    let rows = panels.len().div_ceil(columns).max(1);
    let size = (PANEL.0 * columns as u32, PANEL.1 * rows as u32 + 40);
    let mut svg = String::new();
    {
        let root = SVGBackend::with_string(&mut svg, size).into_drawing_area();
        let draw = || -> Result<(), DrawingAreaErrorKind<std::io::Error>> {
            root.fill(&WHITE)?;
            let body = root.titled(title, ("sans-serif", 20))?;
            for (area, panel) in body.split_evenly((rows, columns)).iter().zip(panels) {
                draw_panel(area, panel)?;
            }
            root.present()
        };
        draw().expect("drawing into a string cannot fail");
    }
    write_whole(path, svg.as_bytes())
}

fn draw_panel<DB: DrawingBackend>(
    area: &DrawingArea<DB, plotters::coord::Shift>,
    panel: &Panel,
) -> Result<(), DrawingAreaErrorKind<DB::ErrorType>> {
    let finite = |series: &Series| -> Vec<(f64, f64)> {
        series.points.iter().copied().filter(|(x, y)| x.is_finite() && y.is_finite()).collect()
    };
    let all: Vec<(f64, f64)> = panel.series.iter().flat_map(finite).collect();
    let level = panel.level.as_ref().map(|(_, level)| *level);
    // A curve may begin and end at the frame, a dot may not be cut by it.
    let air = if panel.series.iter().all(|series| series.joined) { 0.0 } else { 0.05 };
    let (x_low, x_high) = range(all.iter().map(|point| point.0), air);
    let (y_low, y_high) = range(all.iter().map(|point| point.1).chain(level), 0.08);
    let mut chart = ChartBuilder::on(area)
        .caption(&panel.title, ("sans-serif", 15))
        .margin(12)
        .x_label_area_size(38)
        .y_label_area_size(56)
        .build_cartesian_2d(x_low..x_high, y_low..y_high)?;
    chart
        .configure_mesh()
        .light_line_style(WHITE)
        .bold_line_style(BLACK.mix(0.12))
        .x_labels(6)
        .y_labels(6)
        .x_label_formatter(&tick)
        .y_label_formatter(&tick)
        .x_desc(&panel.x_label)
        .y_desc(&panel.y_label)
        .label_style(("sans-serif", 12))
        .draw()?;
    if let Some((name, level)) = &panel.level {
        let style = BLACK.mix(0.55).stroke_width(1);
        chart
            .draw_series(DashedLineSeries::new([(x_low, *level), (x_high, *level)], 5, 4, style))?
            .label(name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 16, y)], style));
    }
    for (series, color) in panel.series.iter().zip(COLORS.iter().cycle()) {
        if series.joined {
            chart
                .draw_series(LineSeries::new(finite(series), color.stroke_width(2)))?
                .label(&series.name)
                .legend(move |(x, y)| PathElement::new([(x, y), (x + 16, y)], color.stroke_width(2)));
        } else {
            let style = color.mix(0.75).filled();
            chart
                .draw_series(finite(series).into_iter().map(|point| Circle::new(point, 3, style)))?
                .label(&series.name)
                .legend(move |(x, y)| Circle::new((x + 8, y), 3, style));
        }
    }
    chart
        .configure_series_labels()
        .position(freest_corner(&all, (x_low, x_high), (y_low, y_high)))
        .background_style(WHITE.mix(0.85))
        .border_style(BLACK.mix(0.25))
        .label_font(("sans-serif", 12))
        .draw()
}

/// A number at an axis, without the digits that floating point adds; adding 0 turns -0 into 0.
fn tick(value: &f64) -> String {
    ((value * 1e6).round() / 1e6 + 0.0).to_string()
}

/// The corner of the axes that holds the fewest points.
fn freest_corner(points: &[(f64, f64)], x: (f64, f64), y: (f64, f64)) -> SeriesLabelPosition {
    use SeriesLabelPosition::{LowerLeft, LowerRight, UpperLeft, UpperRight};
    let place = |value: f64, (low, high): (f64, f64)| (value - low) / (high - low);
    let count = |right: bool, upper: bool| {
        let within = |(px, py): &&(f64, f64)| {
            let (across, up) = (place(*px, x), place(*py, y));
            (if right { across > 0.5 } else { across < 0.5 }) && (if upper { up > 0.65 } else { up < 0.35 })
        };
        points.iter().filter(within).count()
    };
    let corners =
        [(UpperRight, true, true), (LowerRight, true, false), (LowerLeft, false, false), (UpperLeft, false, true)];
    let freest = corners.into_iter().min_by_key(|(_, right, upper)| count(*right, *upper));
    freest.expect("there are four corners").0
}

/// Smallest and largest value, apart even when they are one or there are none, with some air.
fn range(values: impl Iterator<Item = f64>, air: f64) -> (f64, f64) {
    let (low, high) = values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| (low.min(v), high.max(v)));
    if low > high {
        return (0.0, 1.0);
    }
    let width = (high - low).max(1e-6 * high.abs()).max(1e-9);
    (low - air * width, low + width * (1.0 + air))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_legend_keeps_out_of_the_way_of_the_curves() {
        let falling: Vec<(f64, f64)> = (0..100).map(|i| (f64::from(i), -f64::from(i))).collect();
        let unit = (0.0, 100.0);
        assert!(matches!(freest_corner(&falling, unit, (-100.0, 0.0)), SeriesLabelPosition::UpperRight));
        let rising: Vec<(f64, f64)> = falling.iter().map(|(x, y)| (*x, -y)).collect();
        assert!(matches!(freest_corner(&rising, unit, unit), SeriesLabelPosition::LowerRight));
    }

    #[test]
    fn a_figure_names_its_curves_and_survives_odd_points() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.svg");
        let panel = |points: Vec<(f64, f64)>, joined| Panel {
            title: "loss".into(),
            x_label: "step".into(),
            y_label: "nats".into(),
            series: vec![Series { name: "policy".into(), points, joined }],
            level: Some(("ln 2".into(), 2f64.ln())),
        };
        let panels =
            [(vec![(0.0, 1.0), (1.0, f64::NAN), (2.0, 0.5)], true), (vec![], true), (vec![(1.0, 2f64.ln())], false)];
        let panels = panels.map(|(points, joined)| panel(points, joined));
        write_figure(&path, "title & <more>", &panels).unwrap();
        let svg = std::fs::read_to_string(&path).unwrap();
        for text in ["policy", "ln 2", "step", "nats", "title &amp; &lt;more&gt;"] {
            assert!(svg.contains(text), "{text}");
        }
        assert!(!svg.contains("NaN"));
    }
}
