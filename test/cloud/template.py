"""What CloudFormation does to a template: the SAM transform, by AWS's own
translator, then conditions and intrinsic functions. An unknown function is an
error, so that nothing passes here that CloudFormation might refuse."""

import base64
import json
import re
import string

import boto3
import yaml
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator


class Refused(Exception):
    """What CloudFormation would refuse, in its words."""


class Loader(yaml.SafeLoader):
    pass


def short_form(loader, suffix, node):
    """!Sub x is {"Fn::Sub": x}; !GetAtt a.b splits at its first dot."""
    if isinstance(node, yaml.ScalarNode):
        value = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        value = loader.construct_mapping(node, deep=True)
    if suffix == "GetAtt" and isinstance(value, str):
        value = value.split(".", 1)
    return {suffix if suffix in ("Ref", "Condition") else "Fn::" + suffix: value}


Loader.add_multi_constructor("!", short_form)


def read(text):
    return json.loads(json.dumps(yaml.load(text, Loader), default=str))


def load(text, parameters):
    """The template, expanded if it asks for the SAM transform."""
    template = read(text)
    if template.pop("Transform", None):
        translator = Translator(managed_policy_map=None, sam_parser=Parser(), boto_session=boto3.Session(region_name="us-east-1"))
        template = translator.translate(template, dict(parameters), feature_toggle=None)
    return json.loads(json.dumps(template))


def references(value, names):
    """The names among names that value refers to."""
    found = set()
    if isinstance(value, dict):
        for key, inner in value.items():
            if key == "Ref" and inner in names:
                found.add(inner)
            elif key == "Fn::GetAtt":
                found.add(inner[0])
            elif key == "Fn::Sub":
                text = inner if isinstance(inner, str) else inner[0]
                found |= {w.split(".")[0] for w in re.findall(r"\$\{([A-Za-z0-9.:]+)}", text)} & names
            found |= references(inner, names)
    elif isinstance(value, list):
        for inner in value:
            found |= references(inner, names)
    return found


class Evaluator:
    """Evaluates one template. resources maps logical names to what was made:
    objects with .id and .attribute(name)."""

    def __init__(self, template, parameters, pseudo):
        self.template, self.pseudo, self.resources = template, pseudo, {}
        self.parameters = dict(parameters)
        for name, one in template.get("Parameters", {}).items():
            if name not in self.parameters:
                if "Default" not in one:
                    raise Refused(f"Parameters: [{name}] must have values")
                self.parameters[name] = str(one["Default"])
            self.check(name, one, self.parameters[name])
        self.check_rules()

    def check(self, name, one, value):
        allowed = one.get("AllowedValues")
        if allowed is not None and value not in [str(a) for a in allowed]:
            raise Refused(f"Parameter '{name}' must be one of AllowedValues")
        if one.get("Type") == "Number" and not re.fullmatch(r"-?[0-9]+(\.[0-9]+)?", value):
            raise Refused(f"Parameter '{name}' must be a number")
        if "MaxValue" in one and float(value) > float(one["MaxValue"]):
            raise Refused(f"Parameter '{name}' must be a number not greater than {one['MaxValue']}")
        if "AllowedPattern" in one and not re.fullmatch(one["AllowedPattern"], value):
            raise Refused(f"Parameter {name} failed to satisfy constraint: {one.get('ConstraintDescription', one['AllowedPattern'])}")

    def check_rules(self):
        for rule in self.template.get("Rules", {}).values():
            if "RuleCondition" in rule and not self.value(rule["RuleCondition"]):
                continue
            for a in rule["Assertions"]:
                if not self.value(a["Assert"]):
                    raise Refused(f"Template error: rule assertion failed: {a['AssertDescription']}")

    def condition(self, name):
        return self.value(self.template["Conditions"][name])

    def wanted(self, one):
        return "Condition" not in one or self.condition(one["Condition"])

    def value(self, v):
        if isinstance(v, list):
            return [x for x in map(self.value, v) if x is not None]
        if not isinstance(v, dict):
            return v
        if len(v) == 1:
            (key, inner), = v.items()
            if key == "Ref":
                return self.ref(inner)
            if key == "Condition" and isinstance(inner, str):
                return self.condition(inner)
            if key.startswith("Fn::"):
                function = getattr(self, "fn_" + key[4:].lower(), None)
                if function is None:
                    raise Refused(f"Template error: unknown function {key}")
                return function(inner)
        evaluated = {k: self.value(x) for k, x in v.items()}
        return {k: x for k, x in evaluated.items() if x is not None}

    def ref(self, name):
        if name == "AWS::NoValue":
            return None
        for known in (self.pseudo, self.parameters):
            if name in known:
                return known[name]
        if name in self.resources:
            return self.resources[name].id
        raise Refused(f"Template error: unresolved reference [{name}]")

    def fn_getatt(self, v):
        name, attribute = v[0], self.value(v[1])
        if name not in self.resources:
            raise Refused(f"Template error: instance of Fn::GetAtt references undefined resource {name}")
        return self.resources[name].attribute(attribute)

    def fn_sub(self, v):
        text, more = (v, {}) if isinstance(v, str) else (v[0], {k: self.value(x) for k, x in v[1].items()})

        def one(match):
            name = match.group(1)
            if name.startswith("!"):
                return "${" + name[1:] + "}"
            if not re.fullmatch("[A-Za-z0-9_.:]+", name):
                raise Refused("Template error: variable names in Fn::Sub syntax must contain only alphanumeric characters, underscores, periods, and colons")
            if name in more:
                return str(more[name])
            return str(self.fn_getatt(name.split(".", 1)) if "." in name else self.ref(name))

        return re.sub(r"\$\{([^}]*)}", one, text)

    def fn_if(self, v):
        return self.value(v[1] if self.condition(v[0]) else v[2])

    def fn_findinmap(self, v):
        name, first, second = map(self.value, v[:3])
        found = self.template["Mappings"].get(name, {}).get(first, {})
        if second not in found:
            if len(v) > 3:
                return self.value(v[3]["DefaultValue"])
            raise Refused(f"Template error: Unable to get mapping for {name}::{first}::{second}")
        return found[second]

    def fn_join(self, v):
        return v[0].join(str(x) for x in self.value(v[1]))

    def fn_select(self, v):
        return self.value(v[1])[int(self.value(v[0]))]

    def fn_split(self, v):
        return self.value(v[1]).split(v[0])

    def fn_getazs(self, v):
        region = self.value(v) or self.pseudo["AWS::Region"]
        return [region + x for x in string.ascii_lowercase[:3]]

    def fn_base64(self, v):
        return base64.b64encode(self.value(v).encode()).decode()

    def fn_equals(self, v):
        return str(self.value(v[0])) == str(self.value(v[1]))

    def fn_and(self, v):
        return all(self.value(x) for x in v)

    def fn_or(self, v):
        return any(self.value(x) for x in v)

    def fn_not(self, v):
        return not self.value(v[0])

    def fn_contains(self, v):
        return str(self.value(v[1])) in [str(x) for x in self.value(v[0])]
