//! The campus as a plan: which site, floors, rooms and devices there are, and what they are called.

pub const SITE: &str = "campus";
pub const FLOORS: usize = 4;
pub const ROOMS_PER_FLOOR: usize = 10;
pub const ROOMS: usize = FLOORS * ROOMS_PER_FLOOR;

/// What a device is. One of each stands in every room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Thermostat,
    AirQuality,
    Light,
    Lock,
    Occupancy,
}

pub const KINDS: [Kind; 5] = [Kind::Thermostat, Kind::AirQuality, Kind::Light, Kind::Lock, Kind::Occupancy];
pub const DEVICES: usize = ROOMS * KINDS.len();

impl Kind {
    pub fn name(self) -> &'static str {
        match self {
            Self::Thermostat => "thermostat",
            Self::AirQuality => "air",
            Self::Light => "light",
            Self::Lock => "lock",
            Self::Occupancy => "occupancy",
        }
    }

    /// How often it publishes, in milliseconds.
    pub fn period_ms(self) -> u64 {
        match self {
            Self::Thermostat => 2_000,
            Self::AirQuality | Self::Light => 3_000,
            Self::Occupancy => 4_000,
            Self::Lock => 10_000,
        }
    }
}

/// A device by its place: `room` counts through the whole site.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Device {
    pub room: usize,
    pub kind: Kind,
}

impl Device {
    pub fn all() -> impl Iterator<Item = Self> {
        (0..ROOMS).flat_map(|room| KINDS.map(|kind| Self { room, kind }))
    }

    pub fn id(self) -> String {
        format!("{}-{}", room_id(self.room), self.kind.name())
    }

    /// Its number in [`Device::all`].
    pub fn index(self) -> usize {
        self.room * KINDS.len() + KINDS.iter().position(|k| *k == self.kind).unwrap_or(0)
    }
}

pub fn floor_id(floor: usize) -> String {
    format!("{SITE}-f{}", floor + 1)
}

pub fn room_id(room: usize) -> String {
    format!("{}-r{:02}", floor_id(room / ROOMS_PER_FLOOR), room % ROOMS_PER_FLOOR + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_campus_has_two_hundred_devices_with_names_of_their_own() {
        let ids: std::collections::HashSet<String> = Device::all().map(Device::id).collect();
        assert_eq!((ids.len(), DEVICES), (200, 200));
        assert!(ids.contains("campus-f1-r01-thermostat") && ids.contains("campus-f4-r10-lock"));
        assert!(Device::all().enumerate().all(|(n, device)| device.index() == n));
    }
}
