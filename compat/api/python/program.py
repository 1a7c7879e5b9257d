"""The ngrok API client for Python against the resources of a table (compat/README.md describes both)."""

import json
import os
from types import SimpleNamespace

import ngrok

CLIENT = ngrok.Client(os.environ["COMPAT_API_KEY"], base_url=os.environ["COMPAT_API_URL"])
# The first of each resource, which others refer to as "$resource".
FIRST = {}


def filled(value):
    if isinstance(value, dict):
        return {key: filled(each) for key, each in value.items()}
    if isinstance(value, list):
        return [filled(each) for each in value]
    return FIRST[value[1:]] if isinstance(value, str) and value[:1] == "$" else value


def argument(value):
    """The client takes objects in the place of dictionaries, but cannot pack one object into another."""
    if isinstance(value, list):
        return [argument(each) for each in value]
    return SimpleNamespace(_props=value) if isinstance(value, dict) else value


def arguments(body):
    maps = ("critical_options", "extensions")
    return {key: value if key in maps else argument(value) for key, value in filled(body).items()}


def read(thing):
    """Reads everything that the client knows of an object: what the reply lacks is a KeyError."""
    properties = [name for name in dir(type(thing)) if isinstance(getattr(type(thing), name), property)]
    for name in properties:
        value = getattr(thing, name)
        for each in value if isinstance(value, list) else [value]:
            if hasattr(each, "_props"):
                read(each)
    return thing


def expect(thing, wanted):
    """What was asked for is there; an empty text asks for the server's default."""
    for key, value in wanted.items():
        if isinstance(value, (str, bool)) and value != "" and key in read(thing)._props:
            assert thing._props[key] == value, f"{key} is {thing._props[key]!r} instead of {value!r}"


def refused(call, code):
    try:
        call()
    except ngrok.Error as error:
        assert error.error_code == code, f"{error.error_code} instead of {code}: {error.args}"
        assert error.operation_id.startswith("op_")
        return
    raise AssertionError(f"not refused with {code}")


class Row:
    """A row of the table."""

    def __init__(self, row):
        self.row, self.name, self.ids = row, row["resource"], []
        self.service = getattr(CLIENT, self.name, None)

    @property
    def below(self):
        """The path of what has no id of its own."""
        return filled(self.row.get("below", {}))

    def key(self, index):
        return {**self.below, "type": self.ids[index]} if self.below else {"id": self.ids[index]}

    def create(self):
        for body in self.row["create"]:
            made = self.service.create(**self.below, **arguments(body))
            self.ids.append(made.type if self.below else made.id)
            expect(made, filled(body))
        FIRST[self.name] = self.ids[0]

    def get(self):
        found = read(self.service.get(**self.key(0)))
        assert self.below or found.id == self.ids[0]

    def update(self):
        expect(self.service.update(**self.key(0), **arguments(self.row["update"])), self.row["update"])
        expect(self.service.get(**self.key(0)), self.row["update"])

    def list(self):
        if self.below:
            listed = [read(source).type for source in self.service.list(**self.below).sources]
            assert set(self.ids) <= set(listed), listed
            return
        listed = self.listed(self.service.list)
        if "online" in self.row:
            assert len(listed) == self.row["online"], listed
            self.ids = listed
        else:
            wanted = sorted(self.ids, reverse=True)
            assert [id for id in listed if id in wanted] == wanted, f"{wanted} are not in this order in {listed}"
        if within := self.row.get("within"):
            call = getattr(getattr(CLIENT, within["resource"]), within["call"])
            listed = self.listed(call, FIRST[within["resource"]])
            assert listed == wanted, f"{listed} instead of {wanted}"

    def listed(self, call, *arguments):
        """Everything, in pages of one."""
        page = call(*arguments, limit="1")
        assert len(page._props[page.__iter__().list_property]) <= 1, "a page holds more than its limit"
        return [read(item).id for item in page]

    def calls(self):
        for call, code in self.row.get("refused_calls", {}).items():
            refused(lambda: getattr(self.service, call)(self.ids[0]), code)
        for id, call in zip(self.ids, self.row["calls"]):
            try:
                getattr(self.service, call)(id)
            except RuntimeError as error:
                # After a POST, the client takes the 204 that it documents for a failure.
                assert "204" in str(error), error

    def refused(self):
        refused(lambda: self.service.create(**self.below, **arguments(self.row["refused"])), self.row["code"])

    def missing(self):
        self.ids = [self.row["missing"]]
        refused(lambda: self.service.get(**self.key(0)), self.row["gone"])

    def delete(self):
        for index in reversed(range(len(self.ids))):
            self.service.delete(**self.key(index))
            refused(lambda: self.service.get(**self.key(index)), self.row["gone"])


def check(row, what):
    line = {"resource": row.name, "check": what}
    try:
        getattr(row, what)()
    except Exception as error:
        line["failed"] = f"{type(error).__name__}: {error}"
    print(json.dumps(line), flush=True)
    return "failed" not in line


def main():
    with open(os.environ["COMPAT_RESOURCES"], encoding="utf-8") as file:
        table = json.load(file)
    rows = []
    for entry in table:
        row = Row(entry)
        if row.service is None:
            print(json.dumps({"resource": row.name, "unsupported": True}), flush=True)
            continue
        rows.append(row)
        for what in entry["checks"]:
            if not check(row, what) and what == "create":
                break
    for row in reversed(rows):
        if row.row["delete"]:
            check(row, "delete")


main()
