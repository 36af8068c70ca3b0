//! What an index can say of a query: lists that hold every twin it can mean.

use hierarchy_models::{
    TwinId,
    event::Status,
    expression::{Literal, Relation},
    filter::{Field, Filter, Part, Test},
    rollup::Word,
};

use super::{
    key::{self, Posting, Prefix},
    lists::{List, Span},
    query::RegistryQuery,
};

/// Models that are looked up one by one; where more are meant, the row is asked.
const MODELS_LISTED_MAX: usize = 64;

#[derive(Debug, Clone, PartialEq)]
pub enum Plan {
    /// In all of these; none of them for any twin.
    All(Vec<Plan>),
    /// In one of these.
    Any(Vec<Plan>),
    Leaf(Leaf),
}

#[derive(Debug, Clone, PartialEq)]
pub enum Leaf {
    List(List),
    /// Twins whose value lies here, which are in the order of their values.
    Span(Span),
    /// One twin.
    Twin(TwinId),
}

const fn list(list: List) -> Plan {
    Plan::Leaf(Leaf::List(list))
}

impl Plan {
    const ANY_TWIN: Self = Self::All(Vec::new());

    /// In the order in which they stand here.
    pub fn leaves(&self) -> Vec<&Leaf> {
        match self {
            Self::All(parts) | Self::Any(parts) => parts.iter().flat_map(Self::leaves).collect(),
            Self::Leaf(leaf) => vec![leaf],
        }
    }

    pub fn of(query: &RegistryQuery) -> Self {
        let posting = |posting| list(List::Posting(posting));
        let mut all = Vec::new();
        all.extend(query.model.as_ref().map(|model| posting(key::model(model))));
        all.extend(query.parent.as_ref().map(|parent| list(List::Children(parent.clone()))));
        all.extend(query.under.as_ref().map(|top| list(List::Under(top.clone()))));
        if let Some(tops) = &query.within {
            let within = |top: &TwinId| [Self::Leaf(Leaf::Twin(top.clone())), list(List::Under(top.clone()))];
            all.push(Self::Any(tops.iter().flat_map(within).collect()));
        }
        all.extend(query.filter.as_ref().map(|filter| Self::of_filter(filter, true)));
        Self::in_all(all)
    }

    /// What lies in two spans of one key lies where they overlap: `a > 1 && a < 3` is one look-up.
    fn in_all(parts: Vec<Self>) -> Self {
        let mut all: Vec<Self> = Vec::new();
        for part in parts {
            match part {
                Self::All(inner) => {
                    let Self::All(both) = Self::in_all(all.into_iter().chain(inner).collect()) else { return Self::ANY_TWIN };
                    all = both;
                }
                Self::Leaf(Leaf::Span(span)) => {
                    let of_key = all.iter_mut().find_map(|known| match known {
                        Self::Leaf(Leaf::Span(known)) if known.key == span.key => Some(known),
                        _ => None,
                    });
                    match of_key {
                        Some(known) => {
                            known.from = span.from.max(std::mem::take(&mut known.from));
                            known.to = span.to.min(std::mem::take(&mut known.to));
                        }
                        None => all.push(Self::Leaf(Leaf::Span(span))),
                    }
                }
                part => all.push(part),
            }
        }
        Self::All(all)
    }

    /// `is`: whether the filter must hold or must not.
    fn of_filter(filter: &Filter, is: bool) -> Self {
        let parts = |parts: &[Filter]| parts.iter().map(|part| Self::of_filter(part, is)).collect();
        match filter {
            Filter::All(all) if is => Self::in_all(parts(all)),
            Filter::Any(any) if !is => Self::in_all(parts(any)),
            Filter::All(any) | Filter::Any(any) => Self::Any(parts(any)),
            Filter::Not(one) => Self::of_filter(one, !is),
            Filter::Test(test) if is => Self::of_test(test),
            Filter::Test(Test::Status(Word::Active)) => list(List::Posting(key::status(Status::Inactive))),
            Filter::Test(Test::Status(Word::Inactive)) => list(List::Posting(key::status(Status::Active))),
            Filter::Test(_) => Self::ANY_TWIN,
        }
    }

    fn of_test(test: &Test) -> Self {
        let posting = |posting| list(List::Posting(posting));
        match test {
            Test::Model(models) if models.len() <= MODELS_LISTED_MAX => Self::Any(models.iter().map(|m| posting(key::model(m))).collect()),
            Test::Status(Word::Active) => posting(key::status(Status::Active)),
            Test::Status(Word::Inactive) => posting(key::status(Status::Inactive)),
            Test::Tag(tag) => posting(key::tag(tag)),
            Test::Under(top) => list(List::Under(top.clone())),
            Test::Created { relation, at } => span(key::created_key(), key::created_value(*at), *relation, (vec![0], vec![0xff; 9])),
            Test::Exists(Field::Metadata(names)) => {
                Self::Leaf(Leaf::Span(Span { key: key::metadata_key(names), from: vec![0], to: vec![0xff] }))
            }
            Test::Text { field: Field::Metadata(names), part: Part::Start, text } => {
                let from = key::text_key(text);
                Self::Leaf(Leaf::Span(Span { key: key::metadata_key(names), to: Prefix::end(from.clone()), from }))
            }
            Test::Text { field: Field::Id, part: Part::Start, text } => list(List::IdPrefix(text.clone())),
            Test::Compare { field, relation, literal } => Self::of_comparison(field, *relation, literal),
            Test::Model(_) | Test::Status(_) | Test::Alerts { .. } | Test::Exists(_) | Test::Text { .. } => Self::ANY_TWIN,
        }
    }

    fn of_comparison(field: &Field, relation: Relation, literal: &Literal) -> Self {
        let twin = || match literal {
            Literal::Text(text) if relation == Relation::Equal => TwinId::new(text.clone()).ok(),
            _ => None,
        };
        match field {
            Field::Metadata(names) => {
                let value = match literal {
                    Literal::Bool(bool) => key::bool_key(*bool),
                    Literal::Number(number) => key::number_key(number.get()),
                    Literal::Text(text) => key::text_key(text),
                };
                let kind = key::kind_of(&value);
                span(key::metadata_key(names), value, relation, kind)
            }
            Field::Id => twin().map_or(Self::ANY_TWIN, |id| Self::Leaf(Leaf::Twin(id))),
            Field::Parent => twin().map_or(Self::ANY_TWIN, |parent| list(List::Children(parent))),
            Field::Gateway => twin().map_or(Self::ANY_TWIN, |gateway| list(List::Posting(key::gateway(&gateway)))),
            Field::Path | Field::Telemetry(_) | Field::Reported(_) | Field::Values(_) => Self::ANY_TWIN,
        }
    }
}

/// Where a value that stands so to this one lies. Both ends are included: of a text only the beginning is looked up.
fn span(key: Vec<u8>, value: Vec<u8>, relation: Relation, (first, last): (Vec<u8>, Vec<u8>)) -> Plan {
    match relation {
        Relation::Equal => list(List::Posting(Posting { key, value })),
        Relation::NotEqual => Plan::ANY_TWIN,
        Relation::Less | Relation::LessOrEqual => Plan::Leaf(Leaf::Span(Span { key, from: first, to: value })),
        Relation::Greater | Relation::GreaterOrEqual => Plan::Leaf(Leaf::Span(Span { key, from: value, to: last })),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(filter: &str) -> Plan {
        Plan::of(&RegistryQuery { filter: Some(Filter::parse(filter).unwrap()), ..RegistryQuery::default() })
    }

    fn tag(tag: &str) -> Plan {
        list(List::Posting(key::tag(tag)))
    }

    #[test]
    fn what_an_index_can_say_is_looked_up_and_nothing_else() {
        assert_eq!(plan("tag(\"a\") && values.t > 1 && !tag(\"b\")"), Plan::All(vec![tag("a")]));
        assert_eq!(plan("!(!tag(\"a\") || values.t > 1)"), Plan::All(vec![tag("a")]));
        assert_eq!(plan("!tag(\"a\") && metadata.a != 1"), Plan::ANY_TWIN);
        assert_eq!(plan("tag(\"a\") || tag(\"b\")"), Plan::All(vec![Plan::Any(vec![tag("a"), tag("b")])]));
        assert_eq!(plan("tag(\"a\") || values.t > 1").leaves().len(), 1, "and the engine finds that the other side says nothing");
        assert_eq!(plan("status != \"active\""), plan("status == \"inactive\""));
    }

    #[test]
    fn a_range_of_one_value_is_one_span() {
        let span =
            |from: f64, to: f64| Span { key: key::metadata_key(&["a".into()]), from: key::number_key(from), to: key::number_key(to) };
        assert_eq!(
            plan("metadata.a > 1 && (metadata.a <= 3 && tag(\"a\"))"),
            Plan::All(vec![Plan::Leaf(Leaf::Span(span(1.0, 3.0))), tag("a")])
        );
        assert_eq!(plan("metadata.a > 1 && metadata.b <= 3").leaves().len(), 2);
    }
}
