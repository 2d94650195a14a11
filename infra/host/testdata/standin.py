"""Stands in for what AWS tells an instance: its metadata service (IMDSv2) on 169.254.169.254, and
the calls of install, update and tend with their layer download on 127.0.0.1:4566. It serves the
folder /standin, which the check changes: layers/N.zip (layers/N.sum is a checksum other than the
right one), secrets/NAME, parameters/NAME, lifecycle. What happened is in calls. On
127.0.0.1:5222 it stands in for WhatsApp: an echo."""
import base64, hashlib, json, pathlib, socketserver, threading, urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

root = pathlib.Path("/standin")
token = "a-session-token"
metadata = {
    "local-ipv4": "10.0.0.7",
    "instance-id": "i-0123456789abcdef0",
    "iam/security-credentials/": "origin",
    "iam/security-credentials/origin": json.dumps({
        "Code": "Success", "Type": "AWS-HMAC", "AccessKeyId": "ASIAEXAMPLE", "SecretAccessKey": "example",
        "Token": "example", "LastUpdated": "2026-01-01T00:00:00Z", "Expiration": "2099-01-01T00:00:00Z"}),
}


class Handler(BaseHTTPRequestHandler):
    def answer(self, status, body="", kind="application/json"):
        body = body if isinstance(body, bytes) else body.encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


class Metadata(Handler):
    def do_PUT(self):
        self.answer(200 if self.path == "/latest/api/token" else 404, token, "text/plain")

    def do_GET(self):
        if self.headers.get("X-aws-ec2-metadata-token") != token:
            return self.answer(401)
        name = self.path.removeprefix("/latest/meta-data/")
        lifecycle = root / "lifecycle"
        if name == "autoscaling/target-lifecycle-state" and lifecycle.exists():
            return self.answer(200, lifecycle.read_text(), "text/plain")
        self.answer(200 if name in metadata else 404, metadata.get(name, ""), "text/plain")


class Calls(Handler):
    def do_GET(self):
        url = urllib.parse.urlsplit(self.path)
        if url.path == "/2018-10-31/layers":
            return self.layer(urllib.parse.parse_qs(url.query)["Arn"][0].rsplit(":", 1)[1])
        file = root / url.path.lstrip("/")
        self.answer(200, file.read_bytes(), "application/zip") if file.is_file() else self.answer(404)

    def layer(self, version):
        file = root / "layers" / (version + ".zip")
        if not file.exists():
            return self.answer(404, '{"message": "no such layer"}')
        right = base64.b64encode(hashlib.sha256(file.read_bytes()).digest()).decode()
        other = file.with_suffix(".sum")
        self.answer(200, json.dumps({"Content": {
            "Location": f"http://127.0.0.1:4566/layers/{version}.zip?X-Amz-Signature=presigned",
            "CodeSha256": other.read_text() if other.exists() else right}}))

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        target = self.headers.get("X-Amz-Target", "")
        with open(root / "calls", "a") as calls:
            calls.write((target or body.decode()) + "\n")
        if target == "secretsmanager.GetSecretValue":
            return self.value("secrets", json.loads(body)["SecretId"].rsplit(":", 1)[1], lambda text: {"SecretString": text})
        if target == "AmazonSSM.GetParameters":
            return self.parameters(json.loads(body)["Names"])
        action = urllib.parse.parse_qs(body.decode())["Action"][0]
        if action == "AssumeRole":
            return self.answer(200, """<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult><Credentials>
                <AccessKeyId>ASIAPOSTS</AccessKeyId><SecretAccessKey>example</SecretAccessKey><SessionToken>example</SessionToken>
                <Expiration>2099-01-01T00:00:00Z</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>""", "text/xml")
        self.answer(200, f"<{action}Response><{action}Result/></{action}Response>", "text/xml")

    def do_PUT(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        with open(root / "calls", "a") as calls:
            calls.write(f"PUT {self.path} {body.decode()}\n")
        self.answer(200 if self.headers.get("Content-Type") is None else 403)  # an address is signed for no type

    def parameters(self, names):
        files = {name: root / "parameters" / name.rsplit("/", 1)[1] for name in names}
        self.answer(200, json.dumps({
            "Parameters": [{"Name": name, "Value": file.read_text()} for name, file in reversed(files.items()) if file.exists()],
            "InvalidParameters": [name for name, file in files.items() if not file.exists()]}))

    def value(self, folder, name, shape):
        file = root / folder / name
        if file.exists():
            return self.answer(200, json.dumps(shape(file.read_text())))
        self.answer(400, '{"__type": "AccessDeniedException", "message": "not allowed"}')


class Echo(socketserver.BaseRequestHandler):
    def handle(self):
        while data := self.request.recv(4096):
            self.request.sendall(data)


threading.Thread(target=ThreadingHTTPServer(("127.0.0.1", 4566), Calls).serve_forever).start()
threading.Thread(target=socketserver.ThreadingTCPServer(("127.0.0.1", 5222), Echo).serve_forever).start()
ThreadingHTTPServer(("169.254.169.254", 80), Metadata).serve_forever()
