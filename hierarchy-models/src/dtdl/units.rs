//! Semantic types and the units of each: part of the language in version 2, of the QuantitativeTypes extension since.

use super::Version;

/// A unit type, its units since version 2, and those that came with the extension.
const UNIT_TYPES: &[(&str, &str, &str)] = &[
    ("AccelerationUnit", "centimetrePerSecondSquared gForce metrePerSecondSquared", ""),
    ("AngleUnit", "degreeOfArc minuteOfArc radian secondOfArc turn", ""),
    ("AngularAccelerationUnit", "radianPerSecondSquared", ""),
    ("AngularVelocityUnit", "degreePerSecond radianPerSecond revolutionPerMinute revolutionPerSecond", ""),
    ("ApparentEnergyUnit", "", "gigavoltAmpereHour kilovoltAmpereHour megavoltAmpereHour voltAmpereHour"),
    ("ApparentPowerUnit", "", "gigavoltAmpere kilovoltAmpere megavoltAmpere millivoltAmpere voltAmpere"),
    ("AreaUnit", "acre hectare squareCentimetre squareFoot squareInch squareKilometre squareMetre squareMillimetre", ""),
    ("CapacitanceUnit", "farad microfarad millifarad nanofarad picofarad", ""),
    ("ChargeUnit", "coulomb", "ampereHour milliampereHour"),
    ("CurrentUnit", "ampere microampere milliampere", "kiloampere"),
    (
        "DataRateUnit",
        "bitPerSecond bytePerSecond exbibitPerSecond exbibytePerSecond gibibitPerSecond gibibytePerSecond kibibitPerSecond \
         kibibytePerSecond mebibitPerSecond mebibytePerSecond tebibitPerSecond tebibytePerSecond yobibitPerSecond yobibytePerSecond \
         zebibitPerSecond zebibytePerSecond",
        "",
    ),
    (
        "DataSizeUnit",
        "bit byte exbibit exbibyte gibibit gibibyte kibibit kibibyte mebibit mebibyte tebibit tebibyte yobibit yobibyte zebibit zebibyte",
        "",
    ),
    ("DensityUnit", "gramPerCubicMetre kilogramPerCubicMetre", "microgramPerCubicMetre milligramPerCubicMetre"),
    (
        "EnergyUnit",
        "electronvolt gigajoule joule kilojoule kilowattHour megaelectronvolt megajoule",
        "britishThermalUnit gigawattHour kiloBritishThermalUnit megawattHour milliwattHour terawattHour wattHour",
    ),
    ("ForceUnit", "newton ounce pound ton", ""),
    ("FrequencyUnit", "gigahertz hertz kilohertz megahertz", "millihertz"),
    ("IlluminanceUnit", "footcandle lux", ""),
    ("InductanceUnit", "henry microhenry millihenry", ""),
    ("IonizingRadiationDoseUnit", "", "gray microgray microsievert milligray millisievert sievert"),
    ("IrradianceUnit", "", "wattPerSquareMetre"),
    ("LengthUnit", "astronomicalUnit centimetre foot inch kilometre metre micrometre mile millimetre nanometre nauticalMile", ""),
    ("LuminanceUnit", "candelaPerSquareMetre", ""),
    ("LuminousFluxUnit", "lumen", ""),
    ("LuminousIntensityUnit", "candela", ""),
    ("MagneticFluxUnit", "maxwell weber", ""),
    ("MagneticInductionUnit", "tesla", "gauss"),
    ("MassUnit", "gram kilogram microgram milligram slug tonne", "massPound"),
    ("MassFlowRateUnit", "gramPerHour gramPerSecond kilogramPerHour kilogramPerSecond", "massPoundPerHour"),
    (
        "PowerUnit",
        "gigawatt horsepower kilowatt kilowattHourPerYear megawatt microwatt milliwatt watt",
        "britishThermalUnitPerHour gigajoulePerHour joulePerHour joulePerSecond kiloBritishThermalUnitPerHour kilojoulePerHour \
         kilojoulePerSecond megajoulePerHour tonOfRefrigeration",
    ),
    (
        "PressureUnit",
        "bar inchesOfMercury inchesOfWater kilopascal millibar millimetresOfMercury pascal poundPerSquareInch",
        "decapascal hectopascal",
    ),
    ("RadioactivityUnit", "", "becquerel gigabecquerel kilobecquerel megabecquerel"),
    ("ReactiveEnergyUnit", "", "gigavoltAmpereReactiveHour kilovoltAmpereReactiveHour megavoltAmpereReactiveHour voltAmpereReactiveHour"),
    (
        "ReactivePowerUnit",
        "",
        "gigavoltAmpereReactive kilovoltAmpereReactive megavoltAmpereReactive millivoltAmpereReactive voltAmpereReactive",
    ),
    ("ResistanceUnit", "kiloohm megaohm milliohm ohm", ""),
    ("SoundPressureUnit", "bel decibel", ""),
    ("TemperatureUnit", "degreeCelsius degreeFahrenheit kelvin", ""),
    ("TimeUnit", "day hour microsecond millisecond minute nanosecond second year", ""),
    ("TorqueUnit", "newtonMetre", ""),
    ("Unitless", "percent unity", "partsPerBillion partsPerMillion partsPerQuadrillion partsPerTrillion"),
    (
        "VelocityUnit",
        "centimetrePerSecond kilometrePerHour kilometrePerSecond knot metrePerHour metrePerSecond milePerHour milePerSecond",
        "",
    ),
    ("VoltageUnit", "kilovolt megavolt microvolt millivolt volt", ""),
    ("VolumeUnit", "cubicCentimetre cubicFoot cubicInch cubicMetre fluidOunce gallon litre millilitre", ""),
    (
        "VolumeFlowRateUnit",
        "litrePerHour litrePerSecond millilitrePerHour millilitrePerSecond",
        "cubicFootPerMinute cubicMetrePerHour cubicMetrePerMinute cubicMetrePerSecond gallonPerHour gallonPerMinute litrePerMinute \
         millilitrePerMinute",
    ),
];

/// Semantic types whose unit type is not their own name with `Unit` behind it.
const OTHERWISE: &[(&str, &str)] = &[
    ("Concentration", "Unitless"),
    ("Distance", "LengthUnit"),
    ("ElectricCharge", "ChargeUnit"),
    ("EnergyRate", "PowerUnit"),
    ("Humidity", "DensityUnit"),
    ("Latitude", "AngleUnit"),
    ("Longitude", "AngleUnit"),
    ("Luminosity", "PowerUnit"),
    ("RelativeDensity", "Unitless"),
    ("RelativeHumidity", "Unitless"),
    ("Thrust", "ForceUnit"),
    ("TimeSpan", "TimeUnit"),
];
/// Semantic types that came with the extension, beside those whose units did.
const SINCE_3: &[&str] = &["Concentration", "EnergyRate", "RelativeDensity"];
/// What these would be by the rule is not a semantic type.
const NOT_SEMANTIC: &[&str] = &["Charge", "Time"];

fn row(unit_type: &str, version: Version) -> Option<(&'static str, &'static str, &'static str)> {
    let row = *UNIT_TYPES.iter().find(|(name, ..)| *name == unit_type)?;
    (version > Version::V2 || !row.1.is_empty()).then_some(row)
}

/// The unit type of a semantic type; `None` for what is not one in this version of the language.
pub fn unit_type(semantic: &str, version: Version) -> Option<&'static str> {
    if NOT_SEMANTIC.contains(&semantic) || (version == Version::V2 && SINCE_3.contains(&semantic)) {
        return None;
    }
    let named = match OTHERWISE.iter().find(|(name, _)| *name == semantic) {
        Some((_, unit_type)) => row(unit_type, version),
        None => UNIT_TYPES.iter().find(|(name, ..)| name.strip_suffix("Unit") == Some(semantic)).and_then(|(name, ..)| row(name, version)),
    };
    named.map(|(name, ..)| name)
}

/// Whether this is the name of a unit type.
pub fn is_unit_type(name: &str, version: Version) -> bool {
    row(name, version).is_some()
}

/// Whether a unit is of that type; it may be given by its term or by its identifier.
pub fn is_unit(unit: &str, unit_type: &str, version: Version) -> bool {
    let term = match unit.strip_prefix("dtmi:") {
        Some(path) if path.starts_with("standard:unit:") || path.starts_with("dtdl:extension:quantitativeTypes:") => {
            path.split(';').next().and_then(|path| path.rsplit(':').next()).unwrap_or_default()
        }
        Some(_) => return false,
        None => unit,
    };
    let Some((_, first, later)) = row(unit_type, version) else { return false };
    let later = if version == Version::V2 { "" } else { later };
    first.split_whitespace().chain(later.split_whitespace()).any(|known| known == term)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_belongs_to_its_type() {
        assert_eq!(unit_type("Temperature", Version::V2), Some("TemperatureUnit"));
        assert!(is_unit("degreeCelsius", "TemperatureUnit", Version::V2));
        assert!(is_unit("dtmi:standard:unit:temperature:degreeCelsius;2", "TemperatureUnit", Version::V2));
        assert!(
            !is_unit("metre", "TemperatureUnit", Version::V3) && !is_unit("dtmi:example:degreeCelsius;1", "TemperatureUnit", Version::V3)
        );
        assert_eq!(unit_type("Thrust", Version::V3), Some("ForceUnit"));
        assert!(is_unit("partsPerMillion", unit_type("Concentration", Version::V4).unwrap(), Version::V4));
    }

    #[test]
    fn what_the_extension_brought_is_not_in_version_2() {
        for semantic in ["Concentration", "ApparentPower", "EnergyRate", "Radioactivity", "RelativeDensity"] {
            assert_eq!(unit_type(semantic, Version::V2), None, "{semantic}");
            assert!(unit_type(semantic, Version::V3).is_some(), "{semantic}");
        }
        assert!(!is_unit("kiloampere", "CurrentUnit", Version::V2) && is_unit("kiloampere", "CurrentUnit", Version::V3));
        for not in ["Charge", "Time", "Unitless", "Colour", ""] {
            assert_eq!(unit_type(not, Version::V3), None, "{not}");
        }
    }

    #[test]
    fn there_are_as_many_semantic_types_as_the_extension_lists() {
        let by_rule = UNIT_TYPES.iter().filter_map(|(name, ..)| name.strip_suffix("Unit")).filter(|n| !NOT_SEMANTIC.contains(n));
        assert_eq!(by_rule.count() + OTHERWISE.len(), 52);
    }
}
