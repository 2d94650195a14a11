"""What CloudFormation does to a template: the SAM transform, by AWS's own
translator; then all else by the evaluator in cloudformation, which renders the
templates in infra's tests, too, and which "live evaluate" serves."""

import json
import os
import subprocess
import threading

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
    if str(template.get("Transform")).startswith("AWS::Serverless"):
        del template["Transform"]
        translator = Translator(managed_policy_map=None, sam_parser=Parser(), boto_session=boto3.Session(region_name="us-east-1"))
        template = translator.translate(template, dict(parameters), feature_toggle=None)
    return json.loads(json.dumps(template))


class Evaluator:
    """Evaluates one template with its parameters. order has the logical names of
    all resources, each after those that it refers to."""

    lock = threading.Lock()  # guards process
    process = None

    def __init__(self, template, parameters, pseudo):
        self.question = dict(Template=template, Parameters=parameters, Pseudo=pseudo)
        plan = self.ask({})
        self.parameters = {k: ",".join(v) if isinstance(v, list) else v for k, v in plan["Parameters"].items()}
        self.order, self.wanted = plan["Order"], set(plan["Wanted"])

    def properties(self, logical, parts):
        """What a resource is to be like. parts maps logical names to what was made: objects with .id and .attribute(name)."""
        return self.ask(parts, Of=logical) or {}

    def outputs(self, parts):
        return self.ask(parts, Outputs=True)

    def ask(self, parts, **more):
        with Evaluator.lock:
            if not Evaluator.process:
                Evaluator.process = subprocess.Popen([os.environ["EVALUATOR"], "evaluate"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            self.say(self.question | more)
            for line in Evaluator.process.stdout:
                answer = json.loads(line)
                if not isinstance(answer, dict) or "part" not in answer:
                    break
                self.say(self.made(parts, answer["part"], answer["attribute"]))
        if answer and "refused" in answer:
            raise Refused(answer["refused"])
        return answer

    def say(self, value):
        Evaluator.process.stdin.write(json.dumps(value) + "\n")
        Evaluator.process.stdin.flush()

    def made(self, parts, logical, attribute):
        """The answer to what AWS made up for a resource."""
        if logical not in parts:
            return dict(refused=f"Template error: unresolved reference [{logical}]")
        try:
            return dict(value=str(parts[logical].attribute(attribute) if attribute else parts[logical].id))
        except Refused as refused:
            return dict(refused=str(refused))
