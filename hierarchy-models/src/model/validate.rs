//! What devices and callers send, held against a model.
//!
//! A model that declares none of a sort (no telemetry, no properties, no commands) says nothing about that sort, and
//! everything of it fits: an ontology of properties does not forbid its sensors to send readings.

use super::{Command, Component, Misfit, Model, Payload, Property, schema::Mode};
use crate::{
    command::{CommandResult, CommandState},
    id::Name,
    record::Record,
    value::{Map, Value},
};

/// Members that carry the marks of a protocol and not values.
fn is_mark(name: &str) -> bool {
    name.starts_with('$') || name == "__t"
}

fn undeclared(what: &str, name: &str) -> Misfit {
    Misfit::here(format!("the model has no {what} of this name")).within(name)
}

fn by_name<'a, T>(parts: &'a [T], name: &str, of: impl Fn(&T) -> &Name) -> Option<&'a T> {
    parts.binary_search_by(|part| of(part).as_str().cmp(name)).ok().map(|at| &parts[at])
}

impl Model {
    pub fn property(&self, name: &str) -> Option<&Property> {
        by_name(&self.properties, name, |p| &p.name)
    }

    pub fn component(&self, name: &str) -> Option<&Component> {
        by_name(&self.components, name, |c| &c.name)
    }

    /// The records of one telemetry message.
    ///
    /// # Errors
    /// The first value that does not fit: `/temperature`, or `/3/temperature` when there are several records.
    pub fn check_records(&self, records: &[Record]) -> Result<(), Misfit> {
        for (n, record) in records.iter().enumerate() {
            for (name, value) in &record.values {
                let fits = self.check_reading(name, value);
                fits.map_err(|misfit| if records.len() > 1 { misfit.within(&n.to_string()) } else { misfit })?;
            }
        }
        Ok(())
    }

    /// One value of telemetry; a property may be sent as telemetry too.
    fn check_reading(&self, name: &Name, value: &Value) -> Result<(), Misfit> {
        if let Some(telemetry) = by_name(&self.telemetry, name, |t| &t.name) {
            return self.schemas.check(telemetry.schema, value, Mode::Whole).map_err(|m| m.within(name));
        }
        if let Some(property) = self.property(name) {
            return self.schemas.check(property.schema, value, Mode::Whole).map_err(|m| m.within(name));
        }
        if let Some(component) = self.component(name) {
            return match value {
                Value::Map(map) => map
                    .iter()
                    .filter(|(name, _)| !is_mark(name))
                    .try_for_each(|(name, value)| component.model.check_reading(name, value))
                    .map_err(|m| m.within(name)),
                _ => Err(Misfit::here("must be an object: it is a component").within(name)),
            };
        }
        if self.telemetry.is_empty() { Ok(()) } else { Err(undeclared("telemetry", name)) }
    }

    /// A special event: where the model has telemetry of its name, its payload is that. The language has no other word for events, and an
    /// event that the model does not name fits.
    ///
    /// # Errors
    /// The first part of the payload that does not fit.
    pub fn check_event(&self, name: &str, payload: &Value) -> Result<(), Misfit> {
        by_name(&self.telemetry, name, |t| &t.name).map_or(Ok(()), |telemetry| self.schemas.check(telemetry.schema, payload, Mode::Whole))
    }

    /// Diagnostics: what the model has a name for must be what it says; anything else fits.
    ///
    /// # Errors
    /// The first member that does not fit.
    pub fn check_diagnostics(&self, payload: &Value) -> Result<(), Misfit> {
        let is_named = |name: &str| {
            by_name(&self.telemetry, name, |t| &t.name).is_some() || self.property(name).is_some() || self.component(name).is_some()
        };
        let named = payload.as_map().into_iter().flatten().filter(|(name, _)| is_named(name));
        named.into_iter().try_for_each(|(name, value)| self.check_reading(name, value))
    }

    /// Reported properties: a merge patch of them, or (`Mode::Whole`) all of them.
    ///
    /// # Errors
    /// The first property that does not fit.
    pub fn check_reported(&self, properties: &Map, mode: Mode) -> Result<(), Misfit> {
        self.check_properties(properties, mode, false)
    }

    /// A merge patch of desired properties.
    ///
    /// # Errors
    /// The first property that does not fit or is not writable.
    pub fn check_desired(&self, patch: &Map) -> Result<(), Misfit> {
        self.check_properties(patch, Mode::Patch, true)
    }

    fn check_properties(&self, properties: &Map, mode: Mode, is_desired: bool) -> Result<(), Misfit> {
        for (name, value) in properties.iter().filter(|(name, _)| !is_mark(name)) {
            self.check_property(name, value, mode, is_desired).map_err(|m| m.within(name))?;
        }
        Ok(())
    }

    fn check_property(&self, name: &str, value: &Value, mode: Mode, is_desired: bool) -> Result<(), Misfit> {
        if let Some(property) = self.property(name) {
            return match value {
                _ if is_desired && !property.writable => Err(Misfit::here("this property is not writable")),
                Value::Null if mode == Mode::Patch => Ok(()),
                value => self.schemas.check(property.schema, value, mode),
            };
        }
        if let Some(component) = self.component(name) {
            return match value {
                Value::Null if mode == Mode::Patch => Ok(()),
                Value::Map(map) => component.model.check_properties(map, mode, is_desired),
                _ => Err(Misfit::here("must be an object: it is a component")),
            };
        }
        if self.properties.is_empty() { Ok(()) } else { Err(Misfit::here("the model has no property of this name")) }
    }

    /// A command as a caller sends it; a command of a component is named `component*command`.
    ///
    /// # Errors
    /// At `/name` when the model has no such command, else below `/payload`.
    pub fn check_command(&self, name: &str, payload: &Value) -> Result<(), Misfit> {
        let (model, name) = match name.split_once('*') {
            Some((component, command)) => match self.component(component) {
                Some(component) => (&*component.model, command),
                None if self.components.is_empty() => return Ok(()),
                None => return Err(Misfit::here(format!("the model has no component {component}")).within("name")),
            },
            None => (self, name),
        };
        let Some(command) = by_name(&model.commands, name, |c| &c.name) else {
            let refuse = || Misfit::here(format!("the model has no command {name}")).within("name");
            return if model.commands.is_empty() { Ok(()) } else { Err(refuse()) };
        };
        model.check_request(command, payload).map_err(|m| m.within("payload"))
    }

    /// What a device answers to a command. One that failed answers as it likes, and so does one of which the model does not say what it
    /// answers.
    ///
    /// # Errors
    /// Below `/payload`.
    pub fn check_result(&self, name: &str, result: &CommandResult) -> Result<(), Misfit> {
        let (model, name) = match name.split_once('*').map(|(component, name)| (self.component(component), name)) {
            Some((Some(component), name)) => (&*component.model, name),
            Some((None, _)) => return Ok(()),
            None => (self, name),
        };
        let response = by_name(&model.commands, name, |c| &c.name).and_then(|command| command.response.as_ref());
        let is_nothing = matches!(result.payload, Value::Null);
        match response.filter(|_| result.end() == CommandState::Completed) {
            Some(response) if !(response.nullable && is_nothing) => {
                model.schemas.check(response.schema, &result.payload, Mode::Whole).map_err(|m| m.within("payload"))
            }
            _ => Ok(()),
        }
    }

    fn check_request(&self, command: &Command, payload: &Value) -> Result<(), Misfit> {
        let is_nothing = matches!(payload, Value::Null) || payload.as_map().is_some_and(Map::is_empty);
        match &command.request {
            None if is_nothing => Ok(()),
            None => Err(Misfit::here("this command takes no payload")),
            Some(Payload { nullable: true, .. }) if is_nothing => Ok(()),
            Some(request) => self.schemas.check(request.schema, payload, Mode::Whole),
        }
    }
}
