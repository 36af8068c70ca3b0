//! Lines over a rate or a size: a colour a peer, a shade a percentile, a point where there was a measurement.

use std::{ops::Range, path::Path};

use plotters::{
    coord::ranged1d::{AsRangedCoord, ValueFormatter},
    prelude::*,
};

use super::canvas::{FONT, LIGHT, MARGIN_PIXELS, TEXT_PIXELS, TITLE_PIXELS, canvas, colour, tick};
use crate::{Result, peer::Kind};

/// Beside the outermost points, as a factor on a logarithmic axis.
const ROOM: f64 = 1.25;
/// Of a line in the legend.
const KEY_PIXELS: i32 = 40;

pub struct Line {
    pub name: String,
    pub peer: Kind,
    /// How strong its colour is, up to 1.
    pub strength: f64,
    pub points: Vec<(f64, f64)>,
}

pub struct Lines {
    pub title: &'static str,
    pub x: &'static str,
    pub y: &'static str,
    /// Whether the axis is logarithmic; what has no such axis begins at nought.
    pub log_x: bool,
    pub log_y: bool,
    pub lines: Vec<Line>,
}

impl Lines {
    pub fn draw(&self, file: &Path) -> Result<()> {
        let points = || self.lines.iter().flat_map(|line| &line.points);
        let x = range(points().map(|(x, _)| *x), self.log_x);
        let y = range(points().map(|(_, y)| *y), self.log_y);
        // The axes are types of the library's.
        match (self.log_x, self.log_y) {
            (false, false) => self.chart(file, x, y),
            (false, true) => self.chart(file, x, y.log_scale()),
            (true, false) => self.chart(file, x.log_scale(), y),
            (true, true) => self.chart(file, x.log_scale(), y.log_scale()),
        }
    }

    fn chart<X, Y>(&self, file: &Path, x: X, y: Y) -> Result<()>
    where
        X: AsRangedCoord<Value = f64, CoordDescType: ValueFormatter<f64>>,
        Y: AsRangedCoord<Value = f64, CoordDescType: ValueFormatter<f64>>,
    {
        let area = canvas(file)?;
        let mut chart = ChartBuilder::on(&area)
            .caption(self.title, (FONT, TITLE_PIXELS))
            .margin(MARGIN_PIXELS)
            .set_label_area_size(LabelAreaPosition::Left, 110)
            .set_label_area_size(LabelAreaPosition::Bottom, 80)
            .build_cartesian_2d(x, y)?;
        chart
            .configure_mesh()
            .light_line_style(WHITE)
            .bold_line_style(LIGHT)
            .x_desc(self.x)
            .y_desc(self.y)
            .x_label_formatter(&|x| tick(*x))
            .y_label_formatter(&|y| tick(*y))
            .label_style((FONT, TEXT_PIXELS))
            .axis_desc_style((FONT, TEXT_PIXELS))
            .draw()?;
        for line in &self.lines {
            let style = colour(line.peer).mix(line.strength).stroke_width(3);
            let drawn = chart.draw_series(LineSeries::new(line.points.iter().copied(), style))?;
            drawn.label(&line.name).legend(move |(x, y)| PathElement::new([(x, y), (x + KEY_PIXELS, y)], style));
            let dot = colour(line.peer).mix(line.strength).filled();
            chart.draw_series(line.points.iter().map(|point| Circle::new(*point, 5, dot)))?;
        }
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::UpperLeft)
            .legend_area_size(KEY_PIXELS + 10)
            .margin(16)
            .background_style(WHITE.mix(0.85))
            .border_style(LIGHT)
            .label_font((FONT, TEXT_PIXELS))
            .draw()?;
        Ok(area.present()?)
    }
}

fn range(figures: impl Iterator<Item = f64> + Clone, log: bool) -> Range<f64> {
    let highest = figures.clone().fold(f64::MIN, f64::max);
    let lowest = figures.fold(f64::MAX, f64::min);
    if log { lowest / ROOM..highest * ROOM } else { 0.0..highest * 1.05 }
}
