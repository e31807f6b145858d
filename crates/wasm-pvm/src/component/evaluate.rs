//! Carrying out the definitions of a component: the instances of its core modules, and what each is given.
//!
//! Everything that a component does before it is called is known now, so its definitions are carried out with instances
//! and functions as values. A nested component is instantiated like a function is called; that ends, because a component
//! can only instantiate those that are defined before it, and the number of definitions is limited.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use wasmparser::component_types::{ComponentDefinedType, ComponentValType};
use wasmparser::{
    CanonicalFunction, CanonicalOption, ComponentAlias, ComponentExternalKind, ComponentImport,
    ComponentInstance as InstanceDefinition, ComponentOuterAliasKind, ComponentTypeRef, ExternalKind,
    FuncType, Instance, PrimitiveValType,
};

use super::ComponentError;
use super::read::{Component, Definition};
use super::scope::{
    Closure, ComponentInstance, Function, Item, Lifted, Scalar, Scope, SharedScope, Signature, Type,
};
use crate::adapter::{Given, Source};

/// Maximum number of definitions that are carried out.
const MOST_DEFINITIONS: usize = 200_000;
/// The number of the glue module among the instances.
pub const GLUE: usize = 0;
/// The module of imports that are functions without an interface.
const ROOT: &str = "$root";

/// The core modules of a component, with what connects them.
#[derive(Default)]
pub struct Program<'a> {
    /// Instances in their order; their numbers begin after that of the glue.
    pub instances: Vec<CoreModule<'a>>,
    /// Functions of the host, in the order of their names in the glue.
    pub lowered: Vec<Lowered>,
    /// Memories through which functions exchange data.
    pub memories: Vec<Given>,
    /// Functions that can be called.
    pub entries: Vec<(String, Rc<Lifted>)>,
    /// Names of functions that can't be called.
    pub left_out: Vec<String>,
}

/// An instance of a core module.
pub struct CoreModule<'a> {
    pub wasm: &'a [u8],
    pub given: BTreeMap<String, Source>,
}

/// A core function that calls the host.
pub struct Lowered {
    pub module: String,
    pub name: String,
    pub ty: FuncType,
    /// Allocates memory for its results.
    pub realloc: Option<Given>,
}

/// The name of a function of the host among the exports of the glue.
pub fn glue_name(number: usize) -> String {
    format!("lowered {number}")
}

/// Carries out the definitions of a component.
pub fn evaluate<'a>(component: &Component<'a>) -> Result<Program<'a>, ComponentError> {
    let mut evaluator = Evaluator { program: Program::default(), definitions: 0, scopes: Vec::new() };
    let exports = evaluator.instantiate(component, None, None);
    // Scopes refer to each other in circles.
    evaluator.scopes.iter().for_each(|scope| drop(scope.take()));
    let mut program = evaluator.program;
    for (name, item) in exports?.iter() {
        add_entry(&mut program, name.clone(), item);
    }
    Ok(program)
}

/// Adds an exported function, or those of an exported interface.
fn add_entry(program: &mut Program<'_>, name: String, item: &Item<'_, '_>) {
    match item {
        Item::Function(Function::Lifted(lifted)) if lifted.signature.is_some() => {
            program.entries.push((name, lifted.clone()));
        }
        Item::Function(_) => program.left_out.push(name),
        Item::Instance(ComponentInstance::Exports(exports)) if !name.contains('#') => {
            for (function, item) in exports.iter() {
                add_entry(program, format!("{name}#{function}"), item);
            }
        }
        _ => {}
    }
}

struct Evaluator<'t, 'a> {
    program: Program<'a>,
    /// Number of definitions that were carried out.
    definitions: usize,
    /// All scopes.
    scopes: Vec<SharedScope<'t, 'a>>,
}

type Exports<'t, 'a> = Rc<BTreeMap<String, Item<'t, 'a>>>;

impl<'t, 'a> Evaluator<'t, 'a> {
    /// Instantiates a component; without arguments, its imports are the host's.
    fn instantiate(
        &mut self,
        component: &'t Component<'a>,
        args: Option<&Exports<'t, 'a>>,
        outer: Option<SharedScope<'t, 'a>>,
    ) -> Result<Exports<'t, 'a>, ComponentError> {
        let scope = Rc::new(RefCell::new(Scope { outer, ..Scope::default() }));
        self.scopes.push(scope.clone());
        let mut exports = BTreeMap::new();
        for definition in &component.definitions {
            self.definitions += 1;
            if self.definitions > MOST_DEFINITIONS {
                return Err(ComponentError::TooLarge(MOST_DEFINITIONS));
            }
            match definition {
                Definition::Component(component) => {
                    let closure = Closure { component, outer: scope.clone() };
                    scope.borrow_mut().components.push(closure);
                }
                Definition::Instance(instance) => {
                    let instance = self.instance(&scope, instance)?;
                    scope.borrow_mut().instances.push(instance);
                }
                Definition::Import(import) => {
                    let given = args.and_then(|args| args.get(import.name.name).cloned());
                    let item = given.map_or_else(|| imported(import), Ok)?;
                    scope.borrow_mut().add(item);
                }
                Definition::Export(export) => {
                    let item = scope.borrow().item(export.kind, export.index);
                    let Some(item) = item else { continue };
                    exports.insert(export.name.name.to_owned(), item.clone());
                    scope.borrow_mut().add(item);
                }
                other => self.core(component, &mut scope.borrow_mut(), other)?,
            }
        }
        Ok(Rc::new(exports))
    }

    fn instance(
        &mut self,
        scope: &SharedScope<'t, 'a>,
        instance: &InstanceDefinition<'a>,
    ) -> Result<ComponentInstance<'t, 'a>, ComponentError> {
        let exports = match instance {
            InstanceDefinition::Instantiate { component_index, args } => {
                let (closure, args) = {
                    let scope = scope.borrow();
                    let arg = |arg: &wasmparser::ComponentInstantiationArg<'_>| {
                        Some((arg.name.to_owned(), scope.item(arg.kind, arg.index)?))
                    };
                    let args: BTreeMap<_, _> = args.iter().filter_map(arg).collect();
                    (scope.components[*component_index as usize].clone(), Rc::new(args))
                };
                self.instantiate(closure.component, Some(&args), Some(closure.outer))?
            }
            InstanceDefinition::FromExports(exports) => {
                let scope = scope.borrow();
                let items = exports.iter().filter_map(|export| {
                    let item = scope.item(export.kind, export.index)?;
                    Some((export.name.name.to_owned(), item))
                });
                Rc::new(items.collect())
            }
        };
        Ok(ComponentInstance::Exports(exports))
    }

    /// A definition that instantiates no component.
    fn core(
        &mut self,
        component: &Component<'a>,
        scope: &mut Scope<'t, 'a>,
        definition: &Definition<'a>,
    ) -> Result<(), ComponentError> {
        match definition {
            Definition::CoreModule(module) => scope.core_modules.push(module),
            Definition::CoreInstance(instance) => {
                let instance = self.core_instance(scope, instance);
                scope.core_instances.push(instance);
            }
            Definition::Alias(alias) => add_alias(scope, alias)?,
            Definition::Type => scope.types.push(Type::Own),
            Definition::Canonical(CanonicalFunction::Lift { core_func_index, options, .. }, _) => {
                let ty = component.types.as_ref().component_function_at(scope.functions.len() as u32);
                let post_return = options.iter().find_map(|option| match option {
                    CanonicalOption::PostReturn(function) => {
                        Some(scope.core_functions[*function as usize].clone())
                    }
                    _ => None,
                });
                let lifted = Lifted {
                    core: scope.core_functions[*core_func_index as usize].clone(),
                    post_return,
                    signature: signature(component, ty),
                };
                scope.functions.push(Function::Lifted(Rc::new(lifted)));
            }
            Definition::Canonical(function, offset) => {
                let function = self.host_function(component, scope, function, *offset)?;
                scope.core_functions.push(function);
            }
            Definition::Component(_)
            | Definition::Instance(_)
            | Definition::Import(_)
            | Definition::Export(_) => unreachable!("carried out by `instantiate`"),
        }
        Ok(())
    }

    fn core_instance(&mut self, scope: &Scope<'t, 'a>, instance: &Instance<'a>) -> Source {
        match instance {
            Instance::Instantiate { module_index, args } => {
                let given = args
                    .iter()
                    .map(|arg| (arg.name.to_owned(), scope.core_instances[arg.index as usize].clone()));
                let wasm = scope.core_modules[*module_index as usize];
                self.program.instances.push(CoreModule { wasm, given: given.collect() });
                Source::Instance(GLUE + self.program.instances.len())
            }
            Instance::FromExports(exports) => {
                let exports = exports.iter().map(|export| {
                    (export.name.to_owned(), scope.core_space(export.kind)[export.index as usize].clone())
                });
                Source::Exports(Rc::new(exports.collect()))
            }
        }
    }

    /// A core function that calls the host.
    fn host_function(
        &mut self,
        component: &Component<'a>,
        scope: &Scope<'t, 'a>,
        function: &CanonicalFunction,
        offset: u64,
    ) -> Result<Given, ComponentError> {
        let unsupported = |what, way_out| Err(ComponentError::Unsupported { what, offset, way_out });
        let mut realloc = None;
        let (interface, name) = match function {
            CanonicalFunction::Lower { func_index, options } => {
                let Function::Imported { interface, name } = &scope.functions[*func_index as usize] else {
                    return unsupported("calls between its parts", "link them as core modules instead");
                };
                for option in options {
                    match option {
                        CanonicalOption::Memory(memory) => {
                            let memory = scope.core_memories[*memory as usize].clone();
                            if !self.program.memories.contains(&memory) {
                                self.program.memories.push(memory);
                            }
                        }
                        CanonicalOption::Realloc(function) => {
                            realloc = Some(scope.core_functions[*function as usize].clone());
                        }
                        _ => {}
                    }
                }
                (interface, name.to_string())
            }
            CanonicalFunction::ResourceDrop { resource } => match &scope.types[*resource as usize] {
                Type::Imported { interface, name } => (interface, format!("[resource-drop]{name}")),
                Type::Own => {
                    return unsupported("resources of its own", "export functions on numbers instead");
                }
            },
            _ => unreachable!("other functions are refused when they are read"),
        };
        let ty = component.types.as_ref().core_function_at(scope.core_functions.len() as u32);
        let ty = component.types[ty].unwrap_func().clone();
        self.program.lowered.push(Lowered { module: interface.to_string(), name, ty, realloc });
        Ok((GLUE, glue_name(self.program.lowered.len() - 1)))
    }
}

/// The host's item for an import.
fn imported<'t, 'a>(import: &ComponentImport<'a>) -> Result<Item<'t, 'a>, ComponentError> {
    let name = import.name.full_name();
    Ok(match import.ty {
        ComponentTypeRef::Instance(_) => Item::Instance(ComponentInstance::Imported(Rc::from(&*name))),
        ComponentTypeRef::Func(_) => {
            Item::Function(Function::Imported { interface: Rc::from(ROOT), name: Rc::from(&*name) })
        }
        ComponentTypeRef::Type(_) => {
            Item::Type(Type::Imported { interface: Rc::from(ROOT), name: Rc::from(&*name) })
        }
        ComponentTypeRef::Module(_) | ComponentTypeRef::Component(_) | ComponentTypeRef::Value(_) => {
            return Err(ComponentError::Import(name.into_owned()));
        }
    })
}

fn add_alias<'a>(scope: &mut Scope<'_, 'a>, alias: &ComponentAlias<'a>) -> Result<(), ComponentError> {
    match *alias {
        ComponentAlias::InstanceExport { kind, instance_index, name } => {
            let item = match &scope.instances[instance_index as usize] {
                ComponentInstance::Exports(exports) => exports.get(name).cloned(),
                ComponentInstance::Imported(interface) => {
                    let (interface, name) = (interface.clone(), Rc::from(name));
                    match kind {
                        ComponentExternalKind::Func => {
                            Some(Item::Function(Function::Imported { interface, name }))
                        }
                        ComponentExternalKind::Type => Some(Item::Type(Type::Imported { interface, name })),
                        _ => None,
                    }
                }
            };
            // The host has functions and types only.
            scope.add(item.ok_or_else(|| ComponentError::Import(name.to_owned()))?);
        }
        ComponentAlias::CoreInstanceExport { kind, instance_index, name } => {
            let item = match &scope.core_instances[instance_index as usize] {
                Source::Instance(number) => (*number, name.to_owned()),
                Source::Exports(exports) => exports[name].clone(),
            };
            scope.core_space_mut(kind).push(item);
        }
        ComponentAlias::Outer { kind, count, index } => {
            if let Some(item) = scope.outer_item(kind, count, index as usize) {
                scope.add(item);
            }
        }
    }
    Ok(())
}

impl<'t, 'a> Scope<'t, 'a> {
    /// Adds an item to its index space.
    fn add(&mut self, item: Item<'t, 'a>) {
        match item {
            Item::CoreModule(module) => self.core_modules.push(module),
            Item::Function(function) => self.functions.push(function),
            Item::Type(ty) => self.types.push(ty),
            Item::Instance(instance) => self.instances.push(instance),
            Item::Component(component) => self.components.push(component),
        }
    }

    /// An item of this component; values are none.
    fn item(&self, kind: ComponentExternalKind, index: u32) -> Option<Item<'t, 'a>> {
        let index = index as usize;
        Some(match kind {
            ComponentExternalKind::Module => Item::CoreModule(self.core_modules[index]),
            ComponentExternalKind::Func => Item::Function(self.functions[index].clone()),
            ComponentExternalKind::Type => Item::Type(self.types[index].clone()),
            ComponentExternalKind::Instance => Item::Instance(self.instances[index].clone()),
            ComponentExternalKind::Component => Item::Component(self.components[index].clone()),
            ComponentExternalKind::Value => return None,
        })
    }

    /// An item of a component around this one; core types are none.
    fn outer_item(&self, kind: ComponentOuterAliasKind, count: u32, index: usize) -> Option<Item<'t, 'a>> {
        if count > 0 {
            let outer = self.outer.as_ref().expect("the component is valid");
            return outer.borrow().outer_item(kind, count - 1, index);
        }
        Some(match kind {
            ComponentOuterAliasKind::CoreModule => Item::CoreModule(self.core_modules[index]),
            ComponentOuterAliasKind::CoreType => return None,
            ComponentOuterAliasKind::Type => Item::Type(self.types[index].clone()),
            ComponentOuterAliasKind::Component => Item::Component(self.components[index].clone()),
        })
    }

    const fn core_space(&self, kind: ExternalKind) -> &Vec<Given> {
        match kind {
            ExternalKind::Func | ExternalKind::FuncExact => &self.core_functions,
            ExternalKind::Table => &self.core_tables,
            ExternalKind::Memory => &self.core_memories,
            ExternalKind::Global => &self.core_globals,
            ExternalKind::Tag => &self.core_tags,
        }
    }

    const fn core_space_mut(&mut self, kind: ExternalKind) -> &mut Vec<Given> {
        match kind {
            ExternalKind::Func | ExternalKind::FuncExact => &mut self.core_functions,
            ExternalKind::Table => &mut self.core_tables,
            ExternalKind::Memory => &mut self.core_memories,
            ExternalKind::Global => &mut self.core_globals,
            ExternalKind::Tag => &mut self.core_tags,
        }
    }
}

/// A function's types, if they are scalars.
fn signature(
    component: &Component<'_>,
    ty: wasmparser::component_types::ComponentFuncTypeId,
) -> Option<Signature> {
    let ty = &component.types[ty];
    let scalar = |ty: &ComponentValType| match ty {
        ComponentValType::Primitive(PrimitiveValType::String | PrimitiveValType::ErrorContext) => None,
        ComponentValType::Primitive(ty) => Some(Scalar::Primitive(*ty)),
        ComponentValType::Type(id) => match &component.types[*id] {
            ComponentDefinedType::Primitive(ty) => Some(Scalar::Primitive(*ty)),
            ComponentDefinedType::Result { ok: None, err: None, .. } => Some(Scalar::Result),
            _ => None,
        },
    };
    let params = ty.params.iter().map(|(_, ty)| scalar(ty)).collect::<Option<_>>()?;
    let result = match &ty.result {
        Some(ty) => Some(scalar(ty)?),
        None => None,
    };
    Some(Signature { params, result })
}
