#!/usr/bin/env python3
"""The stub says what the package has: the same names, members and signatures."""
import ast
import inspect
import os
import unittest

import an_loader

# Members that every type has, or that Python makes of others.
BUILT_IN = {"__dict__", "__weakref__", "__module__", "__doc__", "__new__", "__init__", "__buffer__", "__reduce__",
            "__repr__", "__getattribute__", "__iter__", "__getitem__", "__len__", "__next__"}


def stub():
    with open(os.path.join(os.path.dirname(an_loader.__file__), "__init__.pyi"), encoding="utf-8") as file:
        return ast.parse(file.read())


def public(name):
    return not name.startswith("_") or name == "__version__"


def words(node):
    """Its decorators."""
    return {word.id for word in node.decorator_list}


def parameters(function):
    """Name, kind and default of each parameter of a definition in the stub, without self or cls."""
    arguments = function.args
    plain = [*arguments.posonlyargs, *arguments.args]
    defaults = [None] * (len(plain) - len(arguments.defaults)) + arguments.defaults
    for place, (argument, default) in enumerate(zip(plain, defaults)):
        if argument.arg not in ("self", "cls"):
            kind = "positional" if place < len(arguments.posonlyargs) else "any"
            yield argument.arg, kind, default and ast.literal_eval(default)
    if arguments.vararg:
        yield arguments.vararg.arg, "*", None
    for argument, default in zip(arguments.kwonlyargs, arguments.kw_defaults):
        yield argument.arg, "keyword", default and ast.literal_eval(default)
    if arguments.kwarg:
        yield arguments.kwarg.arg, "**", None


KINDS = {inspect.Parameter.POSITIONAL_ONLY: "positional", inspect.Parameter.POSITIONAL_OR_KEYWORD: "any",
         inspect.Parameter.VAR_POSITIONAL: "*", inspect.Parameter.KEYWORD_ONLY: "keyword",
         inspect.Parameter.VAR_KEYWORD: "**"}


def runtime_parameters(function):
    for parameter in inspect.signature(function).parameters.values():
        if parameter.name != "self":
            default = None if parameter.default is inspect.Parameter.empty else parameter.default
            yield parameter.name, KINDS[parameter.kind], default


class Stub(unittest.TestCase):
    def classes(self):
        for node in stub().body:
            if isinstance(node, ast.ClassDef):
                yield node, getattr(an_loader, node.name)

    def test_names(self):
        named = set()
        for node in stub().body:
            if isinstance(node, (ast.ClassDef, ast.FunctionDef)):
                named.add(node.name)
            elif isinstance(node, ast.AnnAssign):
                named.add(node.target.id)
            elif isinstance(node, ast.Assign):
                self.assertEqual(ast.literal_eval(node.value), an_loader.__all__)
        self.assertEqual({name for name in named if public(name)}, set(an_loader.__all__))

    def test_members(self):
        for node, cls in self.classes():
            members = {member.name for member in node.body if isinstance(member, ast.FunctionDef)}
            members |= {member.target.id for member in node.body if isinstance(member, ast.AnnAssign)}
            for member in members - {"__buffer__"}:
                self.assertTrue(hasattr(cls, member), f"{node.name}.{member} is in the stub only")
            for member in set(vars(cls)) - BUILT_IN - members:
                self.fail(f"{node.name}.{member} is not in the stub")

    def test_properties(self):
        for node, cls in self.classes():
            for member in node.body:
                if isinstance(member, ast.FunctionDef) and words(member) == {"property"}:
                    self.assertFalse(callable(getattr(cls, member.name)), f"{node.name}.{member.name}")

    def test_signatures(self):
        for node, cls in self.classes():
            for member in node.body:
                if not isinstance(member, ast.FunctionDef) or member.decorator_list or member.name in BUILT_IN - {"__new__"}:
                    continue
                function = cls if member.name == "__new__" else getattr(cls, member.name)
                with self.subTest(f"{node.name}.{member.name}"):
                    self.assertEqual(list(parameters(member)), list(runtime_parameters(function)))

    def test_functions(self):
        for node in stub().body:
            if isinstance(node, ast.FunctionDef):
                self.assertEqual(list(parameters(node)), list(runtime_parameters(getattr(an_loader, node.name))))

    def test_final(self):
        """What the stub calls final cannot be subclassed, and nothing else is."""
        for node, cls in self.classes():
            with self.subTest(node.name):
                if "final" in words(node):
                    with self.assertRaises(TypeError):
                        type("Derived", (cls,), {})
                else:
                    type("Derived", (cls,), {})

    def test_documented(self):
        for node, cls in self.classes():
            self.assertTrue(cls.__doc__, node.name)
            for member in node.body:
                if isinstance(member, ast.FunctionDef) and public(member.name):
                    self.assertTrue(inspect.getdoc(getattr(cls, member.name)), f"{node.name}.{member.name}")


if __name__ == "__main__":
    unittest.main()
