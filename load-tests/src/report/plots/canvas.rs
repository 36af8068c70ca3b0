//! What all plots share: size, font, colours, and the words on a logarithmic axis.

use std::{fs, path::Path, sync::OnceLock};

use plotters::{
    coord::Shift,
    prelude::*,
    style::{FontStyle, register_font},
};

use super::super::figures::number;
use crate::{Result, peer::Kind};

pub type Area<'a> = DrawingArea<BitMapBackend<'a>, Shift>;

/// Pixels; a page shows them at half.
pub const SIZE: (u32, u32) = (1400, 760);
pub const FONT: &str = "sans-serif";
pub const TITLE_PIXELS: u32 = 30;
pub const TEXT_PIXELS: u32 = 21;
pub const MARGIN_PIXELS: u32 = 24;
pub const GREY: RGBColor = RGBColor(90, 90, 90);
pub const LIGHT: RGBColor = RGBColor(225, 225, 225);

/// From Debian's `fonts-dejavu-core`; nothing is drawn without it.
const FONT_FILE: &str = "/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf";

/// A white picture with a font to write in.
pub fn canvas(file: &Path) -> Result<Area<'_>> {
    static LOADED: OnceLock<std::result::Result<(), String>> = OnceLock::new();
    LOADED.get_or_init(load_font).clone()?;
    let area = BitMapBackend::new(file, SIZE).into_drawing_area();
    area.fill(&WHITE)?;
    Ok(area)
}

fn load_font() -> std::result::Result<(), String> {
    let bytes = fs::read(FONT_FILE).map_err(|e| format!("{FONT_FILE}: {e}; `apt install fonts-dejavu-core`"))?;
    // Once a process, for its whole life, as the library wants it.
    register_font(FONT, FontStyle::Normal, Box::leak(bytes.into_boxed_slice())).map_err(|_| format!("{FONT_FILE} is no font"))
}

/// Told apart by the colour-blind as well (after Okabe and Ito).
pub fn colour(peer: Kind) -> RGBColor {
    match peer {
        Kind::Twinfold => RGBColor(213, 94, 0),
        Kind::TwinfoldTmpfs => RGBColor(230, 159, 0),
        Kind::TwinfoldCql => RGBColor(204, 121, 167),
        Kind::Mosquitto | Kind::MosquittoNodelay => RGBColor(0, 114, 178),
        Kind::Rumqttd => RGBColor(86, 180, 233),
        Kind::Nats => RGBColor(0, 158, 115),
        Kind::NtexMqtt => RGBColor(120, 120, 120),
        Kind::ActixWeb => RGBColor(150, 150, 150),
        Kind::Rustls => RGBColor(180, 180, 180),
    }
}

/// A number on an axis, without digits that say nothing.
pub fn tick(figure: f64) -> String {
    let text = number(figure);
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}
