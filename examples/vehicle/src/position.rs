//! Places on the earth, and how far they are apart.

use twinfold::prelude::*;

const EARTH_KM: f64 = 6_371.0;

/// In degrees.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Position {
    pub lat: f64,
    pub lon: f64,
}

impl Position {
    /// Along the surface, by the haversine formula: to half a percent, as the earth is no ball.
    pub fn km_to(self, other: Self) -> f64 {
        let (lat, other_lat) = (self.lat.to_radians(), other.lat.to_radians());
        let half = |degrees: f64| (degrees.to_radians() / 2.0).sin().powi(2);
        let h = half(other.lat - self.lat) + lat.cos() * other_lat.cos() * half(other.lon - self.lon);
        2.0 * EARTH_KM * h.sqrt().min(1.0).asin()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stockholm_and_gothenburg_are_397_km_apart() {
        let (stockholm, gothenburg) = (Position { lat: 59.3293, lon: 18.0686 }, Position { lat: 57.7089, lon: 11.9746 });
        assert!((stockholm.km_to(gothenburg) - 397.0).abs() < 3.0, "{}", stockholm.km_to(gothenburg));
        assert_eq!(stockholm.km_to(stockholm), 0.0);
    }
}
