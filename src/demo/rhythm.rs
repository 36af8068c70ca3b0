//! A day on the campus as pure functions of time: who is in, how warm it gets, what breaks when.
//!
//! No state and no random numbers: the same second gives the same campus, so a demonstration can be repeated.

use std::time::Duration;

use super::campus::{Device, Kind, ROOMS};

/// The simulated day starts here, when people come in.
const START_HOUR: f64 = 7.5;
const SEATS: f64 = 8.0;
/// A room overheats once in each window of this length.
const HEAT_WINDOW: Duration = Duration::from_secs(90);
const HEAT: std::ops::Range<u64> = 20..70;
/// Devices drop off once in each window of this length.
const DROP_WINDOW: Duration = Duration::from_secs(45);
const DROP: std::ops::Range<u64> = 10..35;
const DROPPED_DEVICES: u64 = 3;
/// A sensor is stuck for most of each window of this length.
const STUCK_WINDOW: Duration = Duration::from_secs(150);
const STUCK: std::ops::Range<u64> = 15..120;

/// A moment of the demonstration.
#[derive(Debug, Clone, Copy)]
pub struct Moment {
    /// Since the demonstration began, in real time.
    pub elapsed: Duration,
    /// How long a simulated day takes.
    pub day: Duration,
}

impl Moment {
    /// Hours of the simulated day, 0 to 24.
    pub fn hour(self) -> f64 {
        (START_HOUR + self.elapsed.as_secs_f64() / self.day.as_secs_f64() * 24.0) % 24.0
    }

    fn hours_ago(self, hours: f64) -> f64 {
        (self.hour() - hours).rem_euclid(24.0)
    }
}

/// People in a room.
pub fn occupants(room: usize, hour: f64) -> u32 {
    let presence = ramp(hour, 7.0, 9.0) * (1.0 - ramp(hour, 16.5, 18.5)) * (1.0 - 0.6 * bump(hour, 12.5, 0.6));
    let quarter = (hour * 4.0) as u64;
    let chance = 0.5 + unit(room as u64, quarter / 3);
    (SEATS * presence * chance * 0.8).round() as u32
}

/// Degrees Celsius; `target` is what the thermostat was told to hold while people are in.
pub fn temperature(room: usize, moment: Moment, target: f64) -> f64 {
    let hour = moment.hour();
    let outside = 11.0 + 6.0 * (((hour - 15.0) / 24.0) * std::f64::consts::TAU).cos();
    let held = target - 2.5 * (1.0 - ramp(hour, 5.5, 8.0) * (1.0 - ramp(hour, 19.0, 22.0)));
    let people = f64::from(occupants(room, hour)) * 0.12;
    let ripple = 0.25 * (moment.elapsed.as_secs_f64() / 7.0 + room as f64).sin();
    let own = unit(room as u64, 99) - 0.5;
    held + (outside - 11.0) * 0.08 + people + ripple + own + excess_heat(room, moment.elapsed)
}

/// Parts per million: what people breathed out over the last hour.
pub fn co2(room: usize, moment: Moment) -> f64 {
    let lingering: f64 =
        [(0.0, 0.5), (0.5, 0.3), (1.0, 0.2)].iter().map(|(ago, weight)| weight * f64::from(occupants(room, moment.hours_ago(*ago)))).sum();
    420.0 + 95.0 * lingering + 8.0 * unit(room as u64, moment.elapsed.as_secs())
}

/// Degrees above what they should be, in the room whose turn it is.
pub fn excess_heat(room: usize, elapsed: Duration) -> f64 {
    let (window, second) = in_window(elapsed, HEAT_WINDOW);
    let is_it = hash(1, window) % ROOMS as u64 == room as u64;
    if !is_it || !HEAT.contains(&second) {
        return 0.0;
    }
    let rise = ((second - HEAT.start) as f64 / 12.0).min(1.0);
    let fall = ((HEAT.end - second) as f64 / 8.0).min(1.0);
    11.0 * rise.min(fall)
}

/// Whether the device has lost its connection now.
pub fn is_dropped(device: Device, elapsed: Duration) -> bool {
    let (window, second) = in_window(elapsed, DROP_WINDOW);
    DROP.contains(&second) && (0..DROPPED_DEVICES).any(|n| hash(2 + n, window) % super::campus::DEVICES as u64 == device.index() as u64)
}

/// When the sensor's reading froze, while it is frozen.
pub fn stuck_since(device: Device, elapsed: Duration) -> Option<Duration> {
    let (window, second) = in_window(elapsed, STUCK_WINDOW);
    let is_it = device.kind == Kind::AirQuality && hash(7, window) % ROOMS as u64 == device.room as u64;
    (is_it && STUCK.contains(&second)).then(|| STUCK_WINDOW * u32::try_from(window).unwrap_or(0) + Duration::from_secs(STUCK.start))
}

fn in_window(elapsed: Duration, window: Duration) -> (u64, u64) {
    (elapsed.as_secs() / window.as_secs(), elapsed.as_secs() % window.as_secs())
}

/// 0 before `from`, 1 after `to`, straight between.
fn ramp(hour: f64, from: f64, to: f64) -> f64 {
    ((hour - from) / (to - from)).clamp(0.0, 1.0)
}

/// 1 at `middle`, 0 from `width` away.
fn bump(hour: f64, middle: f64, width: f64) -> f64 {
    (1.0 - ((hour - middle) / width).abs()).max(0.0)
}

/// A number from 0 to 1 that belongs to the pair.
pub fn unit(a: u64, b: u64) -> f64 {
    (hash(a, b) >> 11) as f64 / (1u64 << 53) as f64
}

/// SplitMix64.
fn hash(a: u64, b: u64) -> u64 {
    let mut z = a.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ b.wrapping_add(0xD1B5_4A32_D192_ED03).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_secs(600);

    fn moments() -> impl Iterator<Item = Moment> {
        (0..600).map(|s| Moment { elapsed: Duration::from_secs(s), day: DAY })
    }

    #[test]
    fn people_come_in_the_morning_and_leave_in_the_evening() {
        let crowd = |hour| (0..ROOMS).map(|room| occupants(room, hour)).sum::<u32>();
        assert_eq!((crowd(4.0), crowd(22.0)), (0, 0));
        assert!(crowd(10.5) > 150 && crowd(12.5) < crowd(10.5), "{} {}", crowd(10.5), crowd(12.5));
    }

    #[test]
    fn a_room_is_mild_unless_it_overheats_and_each_window_has_one_that_does() {
        let mut overheated = 0;
        for moment in moments() {
            for room in 0..ROOMS {
                let warmth = temperature(room, moment, 21.0);
                let excess = excess_heat(room, moment.elapsed);
                assert!((16.0..25.0).contains(&(warmth - excess)), "{warmth} at {}", moment.hour());
                overheated += u32::from(excess > 10.0);
            }
        }
        assert!(overheated >= 6 * 20, "{overheated}");
    }

    #[test]
    fn devices_drop_off_and_come_back() {
        for device in Device::all() {
            assert!(!is_dropped(device, Duration::from_secs(1)));
        }
        let dropped = |s| Device::all().filter(|d| is_dropped(*d, Duration::from_secs(s))).count();
        assert!((1..=3).contains(&dropped(20)) && dropped(40) == 0);
    }

    #[test]
    fn one_sensor_in_each_window_is_stuck() {
        let elapsed = Duration::from_secs(60);
        let stuck: Vec<_> = Device::all().filter_map(|d| stuck_since(d, elapsed)).collect();
        assert_eq!(stuck, [Duration::from_secs(15)]);
    }
}
