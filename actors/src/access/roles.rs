//! Roles of an installation's own, beside the three that are always there.

use hierarchy_models::{
    Name,
    access::{Rights, Role},
    limits::ROLES_MAX,
};

use super::{Access, stored};
use crate::error::TwinError;

pub(super) const KIND: &str = "role";

impl Access {
    /// By name, the built-in ones among them.
    pub fn roles(&self) -> Vec<Role> {
        self.book.read().roles.iter().map(|(name, rights)| Role { name: name.clone(), rights: *rights }).collect()
    }

    pub fn role(&self, name: &str) -> Result<Role, TwinError> {
        let rights = self.book.read().roles.get(name).copied();
        rights.map(|rights| Role { name: name.into(), rights }).ok_or_else(|| TwinError::NoSuchRole(name.into()))
    }

    /// What a role gives; nothing when there is none of this name.
    pub fn rights_of(&self, role: &str) -> Rights {
        self.book.read().roles.get(role).copied().unwrap_or_default()
    }

    /// Makes a role or changes it, at once for everybody who has it. Whether it is new.
    pub async fn put_role(&self, role: Role) -> Result<bool, TwinError> {
        changeable(&role.name)?;
        if let Err(error) = Role::check_name(&role.name) {
            return Err(TwinError::Invalid { pointer: String::new(), reason: error.to_string() });
        }
        let _alone = self.writing.lock().await;
        let is_new = self.role(&role.name).is_err();
        if is_new && self.book.read().roles.len() >= ROLES_MAX {
            return Err(TwinError::Limit { limit: "ROLES_MAX", detail: format!("{ROLES_MAX} roles") });
        }
        self.documents.put_document(KIND, &role.name, stored::write_role(&role)?).await?;
        self.book.write().put_role(role);
        self.changed();
        Ok(is_new)
    }

    /// Removes a role that no grant is of.
    pub async fn delete_role(&self, name: &str) -> Result<(), TwinError> {
        changeable(name)?;
        let _alone = self.writing.lock().await;
        self.role(name)?;
        let holders = self.book.read().principals.values().filter(|e| e.principal.grants.iter().any(|g| g.role == name)).count();
        if holders > 0 {
            return Err(TwinError::RoleInUse { role: name.into(), holders });
        }
        self.documents.delete_document(KIND, name).await?;
        self.book.write().remove_role(name);
        self.changed();
        Ok(())
    }
}

fn changeable(name: &str) -> Result<(), TwinError> {
    if Role::is_built_in(name) { Err(TwinError::RoleFixed(Name::from(name))) } else { Ok(()) }
}
