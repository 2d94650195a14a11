"""A stand-in for AWS in tests: moto's server, with a CloudFormation in front of
it that knows every resource type a template may name. "standin.py PORT [URL]"
serves until it is killed, and tells URL, where live listens, of every part. It
renders templates by the program that the environment's EVALUATOR names: live.

POST /standin with JSON sets what is to happen next:
  {"fail": {"AWS::CloudFront::VpcOrigin": 1}, "reason": "..."}  the next of its kind fails
  {"fail": {"SoloA.Install": 99}}                               so does this part of that stack in the stack
  {"fail": {"checksum": 1}}                                     so does the next layer's checksum on a machine
  {"refuse": {"service": "sts", "code": "...", "message": "...", "status": 403}}  the next call of a service is refused
  {"interfaces": {"last": 20, "stay": 1}}                       those of functions last so long after them, in seconds; the next one stays
  {"silent": true}                                              no origin answers until it is installed once more
  {"stack": "culvert", "status": "UPDATE_ROLLBACK_FAILED"}      a stack is in this state
The access key EXPIRED has expired, DENIED may do nothing, NOQUOTA has no vCPUs."""

import base64
import hashlib
import io
import json
import sys
import urllib.error
import urllib.parse
import urllib.request
import uuid
from xml.sax.saxutils import escape

import boto3
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import run_simple
from werkzeug.wrappers import Request, Response

import asked
from stacks import Stack, World
from template import Refused, load, read

PORT = int(sys.argv[1])
HOST = "10.0.0.1" if len(sys.argv) > 2 else "127.0.0.1"  # machines have a network of their own


def client(service, region):
    return boto3.client(service, region_name=region, endpoint_url=f"http://{HOST}:{PORT}",
                        aws_access_key_id="standin", aws_secret_access_key="standin")


world = World(client, *sys.argv[2:])
world.at = f"http://{HOST}:{PORT}"


def members(form, name):
    """A list of the query protocol: Name.member.1.Key=..."""
    found = {}
    for key, value in form.items():
        words = key.split(".")
        if words[0] == name and words[1:2] == ["member"]:
            one = found.setdefault(int(words[2]), {})
            one[words[3] if len(words) > 3 else ""] = value
    return [found[i] for i in sorted(found)]


def create_change_set(form, region):
    text, kind = form.get("TemplateBody") or world.fetch(form["TemplateURL"]), form.get("ChangeSetType", "UPDATE")
    try:
        stack = world.find(form["StackName"])
    except Refused:
        stack = None
    if kind == "CREATE" and stack and stack.status != "REVIEW_IN_PROGRESS":
        raise Refused(f"Stack [{stack.name}] already exists and cannot be created again with the changeSet")
    if kind == "UPDATE" and (not stack or not stack.status.endswith("_COMPLETE") or stack.status == "ROLLBACK_COMPLETE"):
        raise Refused(f"Stack:{stack and stack.id} is in {stack and stack.status} state and can not be updated.")
    if not stack:
        stack = Stack(world, form["StackName"], region)
        world.stacks.append(stack)
    given = {}
    for p in members(form, "Parameters"):
        given[p["ParameterKey"]] = stack.parameters[p["ParameterKey"]] if p.get("UsePreviousValue") == "true" else p.get("ParameterValue", "")
    identity = f"arn:aws:cloudformation:{region}:123456789012:changeSet/{form['ChangeSetName']}/1"
    world.plans[identity] = dict(stack=stack, kind=kind, text=text, given=given, changes=changes(stack, text, given))
    return dict(Id=identity, StackId=stack.id)


def changes(stack, text, given):
    template = load(text, given)
    e = stack.evaluator(template, given)
    wanted = {n: r for n, r in template["Resources"].items() if n in e.wanted}
    found = []
    for name, one in wanted.items():
        if name not in stack.parts:
            found.append(("Add", name, one["Type"]))
        elif one != stack.template["Resources"].get(name) or e.parameters != stack.parameters:
            found.append(("Modify", name, one["Type"]))
    return found + [("Remove", n, p.kind) for n, p in stack.parts.items() if n not in wanted]


def plan_of(form):
    if form["ChangeSetName"] not in world.plans:
        raise Refused(f"ChangeSet [{form['ChangeSetName']}] does not exist")
    return world.plans[form["ChangeSetName"]]


def describe_change_set(form, region):
    plan = plan_of(form)
    head = dict(ChangeSetId=form["ChangeSetName"], StackId=plan["stack"].id, StackName=plan["stack"].name)
    if not plan["changes"]:
        return head | dict(Status="FAILED", StatusReason="The submitted information didn't contain changes. Submit different information to create a change set.")
    return head | dict(Status="CREATE_COMPLETE", Changes=[dict(Type="Resource", ResourceChange=dict(
        Action=a, LogicalResourceId=n, ResourceType=t, Replacement="False")) for a, n, t in plan["changes"]])


def execute_change_set(form, region):
    plan = plan_of(form)
    stack = plan["stack"]
    stack.status = plan["kind"] + "_IN_PROGRESS"
    world.begin(stack.create if plan["kind"] == "CREATE" else stack.change, plan["text"], plan["given"])
    return {}


def delete_change_set(form, region):
    world.plans.pop(form["ChangeSetName"], None)
    return {}


def describe_stacks(form, region):
    s = world.find(form["StackName"])
    return dict(Stacks=[dict(StackId=s.id, StackName=s.name, StackStatus=s.status, StackStatusReason=s.reason,
                             CreationTime=s.created, LastUpdatedTime=s.updated,
                             Parameters=[dict(ParameterKey=k, ParameterValue=v) for k, v in s.parameters.items()],
                             Outputs=[dict(OutputKey=k, OutputValue=v) for k, v in s.outputs.items()])])


def describe_stack_events(form, region):
    return dict(StackEvents=list(reversed(world.find(form["StackName"]).events)))


def list_stack_resources(form, region):
    s = world.find(form["StackName"])
    return dict(StackResourceSummaries=[dict(LogicalResourceId=n, PhysicalResourceId=p.id, ResourceType=p.kind,
                                             ResourceStatus=p.status, LastUpdatedTimestamp=s.created) for n, p in s.parts.items()])


def delete_stack(form, region):
    try:
        stack = world.find(form["StackName"])
    except Refused:
        return {}
    stack.status = "DELETE_IN_PROGRESS"
    world.begin(stack.delete)
    return {}


def continue_update_rollback(form, region):
    stack = world.find(form["StackName"])
    stack.status = "UPDATE_ROLLBACK_IN_PROGRESS"
    world.begin(stack.undo, [m[""] for m in members(form, "ResourcesToSkip")])
    return {}


def validate_template(form, region):
    template = read(form["TemplateBody"])
    return dict(Parameters=[dict(ParameterKey=n, DefaultValue=str(p["Default"]) if "Default" in p else None)
                            for n, p in template.get("Parameters", {}).items()])


def signal_resource(form, region):
    world.signal(form["StackName"], form["LogicalResourceId"], form["UniqueId"], form["Status"])
    return {}


ACTIONS = {"CreateChangeSet": create_change_set, "DescribeChangeSet": describe_change_set, "ExecuteChangeSet": execute_change_set,
           "DeleteChangeSet": delete_change_set, "DescribeStacks": describe_stacks, "DescribeStackEvents": describe_stack_events,
           "ListStackResources": list_stack_resources, "DeleteStack": delete_stack, "ValidateTemplate": validate_template,
           "SignalResource": signal_resource, "ContinueUpdateRollback": continue_update_rollback, "RollbackStack": continue_update_rollback}


def xml(value):
    if isinstance(value, dict):
        return "".join(f"<{k}>{xml(v)}</{k}>" for k, v in value.items() if v is not None)
    if isinstance(value, list):
        return "".join(f"<member>{xml(v)}</member>" for v in value)
    if hasattr(value, "isoformat"):
        return value.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return escape(str(value))


def refuse(code, message, status=400):
    return Response(f"<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>{escape(message)}</Message></Error></ErrorResponse>",
                    status, content_type="text/xml")


def cloudformation(form, region):
    action = form["Action"]
    if action not in ACTIONS:
        return refuse("InvalidAction", f"the stand-in has no {action}")
    try:
        with world.lock:
            result = ACTIONS[action](form, region)
    except Refused as refused:
        return refuse("ValidationError", str(refused))
    return Response(f"<{action}Response><{action}Result>{xml(result)}</{action}Result></{action}Response>", content_type="text/xml")


FORM = "application/x-www-form-urlencoded; charset=utf-8"

GAUGES = """culvert_users 3
culvert_tunnels 7
"""

OPTED_IN = """<DescribeRegionsResponse><regionInfo><item><regionName>eu-south-2</regionName>
<optInStatus>opted-in</optInStatus></item></regionInfo></DescribeRegionsResponse>"""

NO_VPC_ORIGINS = "<VpcOriginList><Marker></Marker><MaxItems>100</MaxItems><IsTruncated>false</IsTruncated><Quantity>0</Quantity></VpcOriginList>"


# "live" signs the origin's posts by these, as test/cloud/live/gateway.go has them.
POSTS = """<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult><Credentials>
<AccessKeyId>ASIASTANDIN</AccessKeyId><SecretAccessKey>of-the-stand-in</SecretAccessKey><SessionToken>of-the-stand-in</SessionToken>
<Expiration>2099-01-01T00:00:00Z</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>"""


def layer_version(request):
    """Where a version of a layer can be fetched, and its checksum."""
    part = world.layer(request.args["Arn"])
    at = part.properties["Content"]
    content = client("s3", "us-east-1").get_object(Bucket=at["S3Bucket"], Key=at["S3Key"])["Body"].read()
    sum = base64.b64encode(hashlib.sha256(content + (b"other" if world.fails("checksum") else b"")).digest()).decode()
    return Response(json.dumps({"LayerVersionArn": part.id, "Content": {"Location": world.code(part), "CodeSha256": sum, "CodeSize": len(content)}}),
                    content_type="application/json")


def auto_scaling(request):
    """What live's group does: it says why not, if it does not."""
    try:
        with urllib.request.urlopen(world.machines + "/autoscaling", request.get_data(), timeout=10) as answer:
            answer.read()
    except urllib.error.HTTPError as error:
        return refuse("ValidationError", error.read().decode())
    action = request.form["Action"]
    return Response(f"<{action}Response><{action}Result/></{action}Response>", content_type="text/xml")


commands = {}  # what machines were asked to run, by id


def said(command):
    """What a machine prints: live knows what was installed on it."""
    if "outcomes" in command:
        return world.outcomes()
    if "swapon" in command:
        return "/dev/zram0\nagent\n"
    return "" if world.silent else GAUGES


def recorded(request, key, service):
    """Answers that moto has none for."""
    target = request.headers.get("X-Amz-Target", "")
    if key == "EXPIRED":
        return refuse("ExpiredToken", "The security token included in the request is expired", 403)
    if key == "DENIED" and service != "sts":
        return refuse("AccessDenied", "User: arn:aws:iam::123456789012:user/helper is not authorized to perform: "
                      f"{service}:Something because no identity-based policy allows the {service}:Something action", 403)
    if service == world.refusal.get("service"):
        refusal, world.refusal = world.refusal, {}
        return refuse(refusal["code"], refusal["message"], refusal["status"])
    if service == "ec2" and b"RegionName.1=eu-south-2" in request.get_data():
        return Response(OPTED_IN, content_type="text/xml")
    if service == "sts" and b"Action=AssumeRole" in request.get_data():
        return Response(POSTS, content_type="text/xml")
    if service == "autoscaling" and world.machines:
        return auto_scaling(request)
    if service == "servicequotas":
        value = 0 if key == "NOQUOTA" else 32
        return Response(json.dumps({"Quota": {"Value": value}}), content_type="application/x-amz-json-1.1")
    if service == "lambda" and request.path == "/2018-10-31/layers":
        return layer_version(request)
    if service == "cloudfront" and request.path.endswith("/vpc-origin"):
        return Response(NO_VPC_ORIGINS, content_type="text/xml")
    if target == "AmazonSSM.SendCommand":
        id = str(uuid.uuid4())
        commands[id] = json.loads(request.get_data())["Parameters"]["commands"][0]
        return Response(json.dumps({"Command": {"CommandId": id}}), content_type="application/x-amz-json-1.1")
    if target == "AmazonSSM.ListCommandInvocations":
        output = said(commands[json.loads(request.get_data())["CommandId"]])
        return Response(json.dumps({"CommandInvocations": [{"Status": "Success", "CommandPlugins": [{"Output": output}]}]}),
                        content_type="application/x-amz-json-1.1")
    if target == "AmazonSSM.StartAssociationsOnce":
        world.silent = False
        return Response("{}", content_type="application/x-amz-json-1.1")
    return asked.answer(request, service, world)


def control(request):
    order = json.loads(request.get_data())
    world.failing.update(order.get("fail", {}))
    world.reason = order.get("reason", world.reason)
    world.silent = order.get("silent", world.silent)
    world.refusal = order.get("refuse", world.refusal)
    interfaces = order.get("interfaces", {})
    world.interfaces.lasts, world.interfaces.stays = interfaces.get("last", world.interfaces.lasts), interfaces.get("stay", world.interfaces.stays)
    if "stack" in order:
        world.find(order["stack"]).become(order["status"])
    return Response("{}")


def application(moto):
    def serve(environ, start):
        request = Request(environ)
        if request.content_type == FORM:  # read here, and once more by moto
            environ["wsgi.input"] = io.BytesIO(request.get_data())
        if request.path == "/standin":
            return control(request)(environ, start)
        if request.path.startswith("/handle/"):
            world.heard.setdefault(request.path, json.loads(request.get_data()))
            return Response()(environ, start)
        # Credential=KEY/DATE/REGION/SERVICE/aws4_request
        scope = request.headers.get("Authorization", "").partition("Credential=")[2].split(",")[0].split("/")
        key, region, service = (scope[0], scope[2], scope[3]) if len(scope) > 4 else ("", "", "")
        answer = recorded(request, key, service)
        if answer is None and service == "cloudformation":
            form = dict(urllib.parse.parse_qsl(request.get_data(as_text=True), keep_blank_values=True))
            answer = cloudformation(form, region)
        return (answer or moto)(environ, start)
    return serve


if __name__ == "__main__":
    run_simple(HOST, PORT, application(DomainDispatcherApplication(create_backend_app)), threaded=True)
