//! Bars in groups: a group a load, a bar a peer, each with its figure above it.

use std::path::Path;

use plotters::{
    prelude::*,
    style::text_anchor::{HPos, Pos, VPos},
};

use super::{
    super::figures::number,
    canvas::{FONT, GREY, LIGHT, MARGIN_PIXELS, SIZE, TEXT_PIXELS, TITLE_PIXELS, canvas, colour, tick},
};
use crate::{Result, peer::Kind};

/// Room between groups, in bars.
const GAP_BARS: f64 = 1.0;
/// Of the height, left free for the figures above the bars.
const HEADROOM: f64 = 1.12;

pub struct Bars {
    pub title: &'static str,
    pub unit: &'static str,
    /// A name and its bars.
    pub groups: Vec<(String, Vec<(Kind, f64)>)>,
}

impl Bars {
    pub fn draw(&self, file: &Path) -> Result<()> {
        let highest = self.groups.iter().flat_map(|(_, bars)| bars).map(|(_, figure)| *figure).fold(0.0, f64::max);
        let width: f64 = self.groups.iter().map(|(_, bars)| bars.len() as f64 + GAP_BARS).sum();
        let area = canvas(file)?;
        let mut chart = ChartBuilder::on(&area)
            .caption(self.title, (FONT, TITLE_PIXELS))
            .margin(MARGIN_PIXELS)
            .set_label_area_size(LabelAreaPosition::Left, 110)
            .set_label_area_size(LabelAreaPosition::Bottom, 90)
            .build_cartesian_2d(0.0..width, 0.0..highest * HEADROOM)?;
        chart
            .configure_mesh()
            .disable_x_mesh()
            .disable_x_axis()
            .light_line_style(WHITE)
            .bold_line_style(LIGHT)
            .y_desc(self.unit)
            .y_label_formatter(&|y| tick(*y))
            .label_style((FONT, TEXT_PIXELS))
            .axis_desc_style((FONT, TEXT_PIXELS))
            .draw()?;
        let above = (FONT, TEXT_PIXELS - 4).into_font().into_text_style(&area).pos(Pos::new(HPos::Center, VPos::Bottom));
        let below = (FONT, TEXT_PIXELS).into_font().color(&GREY).pos(Pos::new(HPos::Center, VPos::Top));
        let mut left = GAP_BARS / 2.0;
        for (name, bars) in &self.groups {
            let middle = left + bars.len() as f64 / 2.0;
            for (peer, figure) in bars {
                chart.draw_series([Rectangle::new([(left + 0.05, 0.0), (left + 0.95, *figure)], colour(*peer).filled())])?;
                let (x, y) = chart.backend_coord(&(left + 0.5, *figure));
                area.draw(&Text::new(number(*figure), (x, y - 4), above.clone()))?;
                left += 1.0;
            }
            let (x, y) = chart.backend_coord(&(middle, 0.0));
            area.draw(&Text::new(name.clone(), (x, y + 10), below.clone()))?;
            left += GAP_BARS;
        }
        self.legend(&area)?;
        Ok(area.present()?)
    }

    /// Each peer once, in a line at the foot.
    fn legend(&self, area: &super::canvas::Area) -> Result<()> {
        let mut peers: Vec<Kind> = self.groups.iter().flat_map(|(_, bars)| bars).map(|(peer, _)| *peer).collect();
        peers.sort();
        peers.dedup();
        let style = (FONT, TEXT_PIXELS).into_font().into_text_style(area);
        let side = TEXT_PIXELS as i32;
        let (mut x, y) = (SIZE.0 as i32 / 12, SIZE.1 as i32 - side - 20);
        for peer in peers {
            area.draw(&Rectangle::new([(x, y), (x + side, y + side)], colour(peer).filled()))?;
            area.draw(&Text::new(peer.label(), (x + side + 8, y), style.clone()))?;
            x += side + 8 + area.estimate_text_size(peer.label(), &style)?.0 as i32 + 30;
        }
        Ok(())
    }
}
