"""What AWS says of the parts of stacks when it is asked for one: what "make report" asks. moto, which
has not made them, knows none of them."""

import json
import urllib.parse

from werkzeug.wrappers import Response

JSON = "application/x-amz-json-1.1"


def named(world, kind, name):
    """The part of a kind with a name or id, if there is one."""
    for s in world.stacks:
        for part in s.parts.values():
            if part.kind == kind and part.id == name:
                return part
    return None


def parts_of(world, kind):
    return [p for s in world.stacks for p in s.parts.values() if p.kind == kind]


def ec2(form, world):
    """The parts whose ids are asked for, as EC2 describes them, and interfaces that nothing uses; nothing for what else is
    asked by a filter."""
    if form.get("Action") == "DescribeNetworkInterfaces":
        unused = [id for id, (_, is_used) in world.interfaces.left().items() if not is_used]
        return "<networkInterfaceSet>" + "".join(f"<item><networkInterfaceId>{id}</networkInterfaceId></item>" for id in unused) + "</networkInterfaceSet>"
    if form.get("Action") == "DeleteNetworkInterface":
        del world.interfaces.all[form["NetworkInterfaceId"]]
        return "<return>true</return>"
    asked = [v for k, v in form.items() if k.split(".")[0] in ("GroupId", "SubnetId", "InstanceId")]
    lets_in = {rule["SourcePrefixListId"] for group in parts_of(world, "AWS::EC2::SecurityGroup")
               for rule in group.properties.get("SecurityGroupIngress", []) if "SourcePrefixListId" in rule}
    if form.get("Action") == "DescribeManagedPrefixLists" and lets_in:
        return "<prefixListSet>" + "".join(f"<item><prefixListId>{one}</prefixListId></item>" for one in lets_in) + "</prefixListSet>"
    if form.get("Action") == "DescribeSecurityGroups" and any(named(world, "AWS::EC2::SecurityGroup", g) for g in asked):
        lists = "".join(f"<item><prefixListId>{one}</prefixListId></item>" for one in lets_in)
        return f"<securityGroupInfo><item><ipPermissions><item><prefixListIds>{lists}</prefixListIds></item></ipPermissions></item></securityGroupInfo>"
    found = [p for id in asked for kind in ("AWS::EC2::Subnet", "AWS::EC2::Instance") if (p := named(world, kind, id))]
    if form.get("Action") == "DescribeSubnets" and found:
        zones = (p.properties["AvailabilityZoneId"] for p in found)
        return "<subnetSet>" + "".join(f"<item><availabilityZoneId>{z}</availabilityZoneId></item>" for z in zones) + "</subnetSet>"
    if form.get("Action") == "DescribeInstances" and found:
        images = "".join("<item><imageId>ami-0123456789abcdef0</imageId></item>" for _ in found)
        return f"<reservationSet><item><instancesSet>{images}</instancesSet></item></reservationSet>"
    return None


def answer(request, service, world):
    """The answer about a part, or None for what is no such question."""
    words, target = request.path.strip("/").split("/"), request.headers.get("X-Amz-Target", "")
    if service == "ec2":
        form = dict(urllib.parse.parse_qsl(request.get_data(as_text=True)))
        said = ec2(form, world)
        return said and Response(f'<{form["Action"]}Response xmlns="http://ec2.amazonaws.com/doc/2016-11-15/">{said}</{form["Action"]}Response>',
                                 content_type="text/xml")
    if service == "cloudfront" and words[1:2] == ["function"] and (part := named(world, "AWS::CloudFront::Function", words[2])):
        return Response(world.resolved(part.properties["FunctionCode"]), content_type="application/octet-stream")
    if service == "apigateway" and words[3:4] == ["stages"] and named(world, "AWS::ApiGatewayV2::Api", words[2]):
        return Response(json.dumps({"stageName": words[4], "lastDeploymentStatusMessage": "Successfully deployed stage with deployment ID 'abc123'"}),
                        content_type="application/json")
    if service == "lambda" and words[3:4] == ["configuration"] and named(world, "AWS::Lambda::Function", words[2]):
        return Response(json.dumps({"FunctionName": words[2], "State": "Active"}), content_type="application/json")
    if target == "AmazonSSM.DescribeAssociation" and named(world, "AWS::SSM::Association", json.loads(request.get_data())["AssociationId"]):
        return Response(json.dumps({"AssociationDescription": {"Overview": {"Status": "Success"}}}), content_type=JSON)
    return None
