//! The program with behaviours of one's own: the same command line, server and demo, with these bound to their models.

use actors::{
    behaviour::{Behaviour, Error, Result},
    kind::Kinds,
};

use crate::{app::App, cli, config::Config};

/// Where a program of one's own begins: [`Twinfold::builder`].
pub struct Twinfold(());

impl Twinfold {
    pub fn builder() -> Builder {
        Builder { kinds: Kinds::built_in(), fault: None }
    }
}

/// A program in the making.
#[must_use]
pub struct Builder {
    kinds: Kinds,
    fault: Option<Error>,
}

impl Builder {
    /// Binds a behaviour to its model. Of two for one model the last counts.
    pub fn behaviour<B: Behaviour>(mut self) -> Self {
        if let Err(error) = self.kinds.bind_behaviour::<B>() {
            self.fault.get_or_insert_with(|| Error::new(format!("{}: {error}", B::MODEL)));
        }
        self
    }

    /// Is the program: reads the command line (`serve`, `demo` and all the others) and does what it says.
    ///
    /// A call that fails says so in one line and ends the process, with exit code 2 for bad usage or configuration and 1 for
    /// everything else. An `Err` is a behaviour whose model is none.
    pub fn run(self) -> Result<()> {
        match cli::run_with(self.kinds()?) {
            0 => Ok(()),
            code => std::process::exit(code.into()),
        }
    }

    /// Starts the server inside another program, such as a test: with [`Config::on_free_ports`] it has ports of its own.
    pub async fn start(self, config: Config) -> Result<App> {
        Ok(App::start_with(config, self.kinds()?).await?)
    }

    fn kinds(self) -> Result<Kinds> {
        match self.fault {
            Some(fault) => Err(fault),
            None => Ok(self.kinds),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde::{Deserialize, Serialize};

    use super::*;

    #[derive(Clone, Default, Serialize, Deserialize)]
    struct Nameless;

    impl Behaviour for Nameless {
        const MODEL: &'static str = "no model at all";
    }

    #[test]
    fn a_behaviour_of_no_model_is_told_before_anything_starts() {
        let error = Twinfold::builder().behaviour::<Nameless>().run().unwrap_err();
        assert!(error.to_string().contains("\"no model at all\" is not a model id"), "{error}");
    }
}
