//! The values that a component's index spaces refer to while it is instantiated.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use wasmparser::PrimitiveValType;

use super::read::Component;
use crate::adapter::{Given, Source};

/// A scope that functions of nested components can refer to.
pub type SharedScope<'t, 'a> = Rc<RefCell<Scope<'t, 'a>>>;

/// The index spaces of a component, as far as they are filled.
#[derive(Default)]
pub struct Scope<'t, 'a> {
    pub core_modules: Vec<&'a [u8]>,
    pub core_instances: Vec<Source>,
    pub core_functions: Vec<Given>,
    pub core_tables: Vec<Given>,
    pub core_memories: Vec<Given>,
    pub core_globals: Vec<Given>,
    pub core_tags: Vec<Given>,
    pub functions: Vec<Function>,
    pub types: Vec<Type>,
    pub instances: Vec<ComponentInstance<'t, 'a>>,
    pub components: Vec<Closure<'t, 'a>>,
    /// The scope of the component around it.
    pub outer: Option<SharedScope<'t, 'a>>,
}

/// An entry of the component's own index spaces.
#[derive(Clone)]
pub enum Item<'t, 'a> {
    CoreModule(&'a [u8]),
    Function(Function),
    Type(Type),
    Instance(ComponentInstance<'t, 'a>),
    Component(Closure<'t, 'a>),
}

/// A function of the component model.
#[derive(Clone)]
pub enum Function {
    /// Of the host: its interface, empty for a function that is imported alone, and its name.
    Imported { interface: Rc<str>, name: Rc<str> },
    /// Of a core instance.
    Lifted(Rc<Lifted>),
}

/// A core function with a type of the component model.
pub struct Lifted {
    pub core: Given,
    pub post_return: Option<Given>,
    /// Its types, if they are scalars.
    pub signature: Option<Signature>,
}

/// Types of the parameters, and of the result.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Signature {
    pub params: Vec<Scalar>,
    pub result: Option<Scalar>,
}

/// A type whose values are single numbers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Scalar {
    Primitive(PrimitiveValType),
    /// `result` without values: 0 for success, 1 for failure.
    Result,
}

/// A type, as far as it matters which it is.
#[derive(Clone)]
pub enum Type {
    /// A type of the host.
    Imported { interface: Rc<str>, name: Rc<str> },
    /// Any other.
    Own,
}

/// An instance of a component, or of an interface.
#[derive(Clone)]
pub enum ComponentInstance<'t, 'a> {
    /// An interface of the host.
    Imported(Rc<str>),
    Exports(Rc<BTreeMap<String, Item<'t, 'a>>>),
}

/// A component with the scope that it is defined in.
#[derive(Clone)]
pub struct Closure<'t, 'a> {
    pub component: &'t Component<'a>,
    pub outer: SharedScope<'t, 'a>,
}
