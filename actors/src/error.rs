//! Why a call on [`crate::Twins`] failed, in terms a caller can act on. The mapping to HTTP stands in the api crate.

use hierarchy_models::{AlertId, CommandId, ModelId, Name, TwinId, dtdl::Fault, rule::TextError, tree::TreeError};

#[derive(Debug, Clone, thiserror::Error)]
pub enum TwinError {
    #[error("there is no twin {0}")]
    NoSuchTwin(TwinId),
    #[error("there is no command {command} of {twin}")]
    NoSuchCommand { twin: TwinId, command: CommandId },
    #[error("there is no alert {0}")]
    NoSuchAlert(AlertId),
    #[error("the alert {0} is cleared already")]
    AlertCleared(AlertId),
    #[error("there is no job {0}")]
    NoSuchJob(Name),
    #[error("there is no rule {0}")]
    NoSuchRule(Name),
    #[error("a rule {0} is there already")]
    RuleExists(Name),
    /// A text of a rule that cannot be read: where it lies, and the place in it.
    #[error("{error}")]
    RuleText { pointer: String, error: TextError },
    #[error("{0} is registered already")]
    AlreadyRegistered(TwinId),
    #[error("{twin} has children; remove them first or ask for a recursive removal")]
    HasChildren { twin: TwinId },
    /// A code that is wrong, used, or over, or a device that is not there: which, is not said.
    #[error("this claim code does not open this device")]
    NoSuchClaim,
    #[error("there is no twin {parent} to stand under")]
    NoSuchParent { parent: TwinId },
    #[error("there is no gateway {gateway}")]
    NoSuchGateway { gateway: TwinId },
    #[error(transparent)]
    Tree(#[from] TreeError),
    #[error("it has changed: its version is {current}")]
    VersionMismatch { current: u64 },
    /// `pointer` is the JSON pointer at fault.
    #[error("{reason}")]
    Invalid { pointer: String, reason: String },
    #[error("{limit} is reached: {detail}")]
    Limit { limit: &'static str, detail: String },
    #[error("the command has ended already: it is {state}")]
    CommandEnded { state: &'static str },
    #[error("there is no model {0}")]
    NoSuchModel(ModelId),
    #[error("there is no model {model}; put it first")]
    UnknownModel { model: ModelId },
    #[error(transparent)]
    InvalidModel(#[from] Fault),
    #[error("{model} is known with another content; a model never changes, so give the new one another version")]
    ModelDiffers { model: ModelId },
    #[error("{model} is in use: {by}")]
    ModelInUse { model: ModelId, by: String },
    /// It does not fit the twin's model; `pointer` is the JSON pointer at fault.
    #[error("{reason}")]
    Misfit { pointer: String, reason: String },
    /// The twin's behaviour, bound to this model, has refused it or panicked on it; nothing came of it.
    #[error("the behaviour of {behaviour} failed on it: {error}")]
    BehaviourFailed { behaviour: Name, error: String },
    #[error("there is no principal {0:?}")]
    NoSuchPrincipal(String),
    #[error("there is no principal {0:?} to grant it to")]
    UnknownPrincipal(String),
    #[error("there is another principal of this subject")]
    SubjectTaken,
    #[error("there is no grant {0:?}")]
    NoSuchGrant(String),
    #[error("there is no role {0:?}")]
    NoSuchRole(Name),
    #[error("there is no role {role:?}; make it first")]
    UnknownRole { role: Name, pointer: String },
    #[error("the role {0} is built in and stays as it is")]
    RoleFixed(Name),
    #[error("{holders} principals have the role {role}; take it from them first")]
    RoleInUse { role: Name, holders: usize },
    #[error("this idempotency key was used for another request")]
    KeyReused,
    #[error("what this key may do there has changed meanwhile: ask again")]
    Withdrawn,
    #[error("the twin has too much to do; try again shortly")]
    Overloaded,
    #[error("the server is starting or stopping")]
    Stopping,
    #[error(transparent)]
    Store(#[from] persistence::Error),
}
