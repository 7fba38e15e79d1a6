"""A rotation function that behaves as AWS's templates for PostgreSQL do, for one user and for two, behind the Invoke API of Lambda.

Listens on a free port of 127.0.0.1 and prints it. The environment is that of the templates; CA_FILE is the server's authority. A secret
with `masterarn` has two users, any other one. A secret without fields is its password and nothing else, as the generic template makes
it: user, host and port are PLAIN_USER, PLAIN_HOST and PLAIN_PORT, which stand for what its user has written into the function. Needs
boto3 and psql.
"""

import http.server
import json
import os
import subprocess

import boto3

OPTIONS = {
    "ExcludeCharacters": os.environ.get("EXCLUDE_CHARACTERS", ":/@\"'\\"),
    "PasswordLength": int(os.environ.get("PASSWORD_LENGTH", "32")),
}
FLAGS = {
    "ExcludeNumbers": ("EXCLUDE_NUMBERS", "false"),
    "ExcludePunctuation": ("EXCLUDE_PUNCTUATION", "false"),
    "ExcludeUppercase": ("EXCLUDE_UPPERCASE", "false"),
    "ExcludeLowercase": ("EXCLUDE_LOWERCASE", "false"),
    "RequireEachIncludedType": ("REQUIRE_EACH_INCLUDED_TYPE", "true"),
}
for option, (variable, default) in FLAGS.items():
    OPTIONS[option] = os.environ.get(variable, default).lower() in ("true", "1", "y", "yes")

secrets_manager = boto3.client("secretsmanager", endpoint_url=os.environ["SECRETS_MANAGER_ENDPOINT"])
Missing = secrets_manager.exceptions.ResourceNotFoundException


def rotate(event):
    secret, token, step = event["SecretId"], event["ClientRequestToken"], event["Step"]
    described = secrets_manager.describe_secret(SecretId=secret)
    labels = described["VersionIdsToStages"].get(token)
    if described.get("RotationEnabled") is False:
        raise ValueError(f"{secret} is not enabled for rotation")
    if labels is None:
        raise ValueError(f"version {token} has no label")
    if "AWSCURRENT" in labels:
        return
    if "AWSPENDING" not in labels:
        raise ValueError(f"version {token} is not pending")
    steps = {"createSecret": create, "setSecret": change, "testSecret": test, "finishSecret": finish}
    steps[step](secret, token)


def create(secret, token):
    current = value(secret, "AWSCURRENT")
    try:
        value(secret, "AWSPENDING", token)
        return
    except Missing:
        pass
    if "masterarn" in current:
        current["username"] = other(current["username"])
    current["password"] = secrets_manager.get_random_password(**OPTIONS)["RandomPassword"]
    # As the templates do it: whatever the JSON looked like, this is how it looks from here on.
    text = current["password"] if "plain" in current else json.dumps(current)
    secrets_manager.put_secret_value(SecretId=secret, ClientRequestToken=token, SecretString=text, VersionStages=["AWSPENDING"])


def change(secret, token):
    current, pending = value(secret, "AWSCURRENT"), value(secret, "AWSPENDING", token)
    if enters(pending):
        return
    users = [current["username"]] if "masterarn" not in current else [other(current["username"])]
    if pending["username"] not in users or pending["host"] != current["host"]:
        raise ValueError("the pending version is for somebody else or somewhere else")
    if "masterarn" in current:
        return change_other(current, pending)
    known = [current, *previous(secret)]
    usable = next((credential for credential in known if enters(credential)), None)
    if usable is None:
        raise ValueError("no stored version logs in")
    execute(usable, "ALTER USER :\"name\" WITH PASSWORD :'password';", pending)


def change_other(current, pending):
    if not enters(current):
        raise ValueError("the current version does not log in")
    master = value(current["masterarn"], "AWSCURRENT")
    if master["host"] != current["host"]:
        raise ValueError("the master secret is for another host")
    exists = execute(master, "SELECT count(*) FROM pg_roles WHERE rolname = :'name';", pending).strip() == "1"
    if not exists:
        execute(master, "CREATE ROLE :\"name\" WITH LOGIN PASSWORD :'password'; GRANT :\"of\" TO :\"name\";", pending, current)
    else:
        execute(master, "ALTER USER :\"name\" WITH PASSWORD :'password';", pending)


def test(secret, token):
    if not enters(value(secret, "AWSPENDING", token)):
        raise ValueError("the pending version does not log in")


def finish(secret, token):
    stages = secrets_manager.describe_secret(SecretId=secret)["VersionIdsToStages"]
    current = next(version for version, labels in stages.items() if "AWSCURRENT" in labels)
    move = {"MoveToVersionId": token, "RemoveFromVersionId": current}
    secrets_manager.update_secret_version_stage(SecretId=secret, VersionStage="AWSCURRENT", **move)


def value(secret, label, token=None):
    which = {"VersionId": token} if token else {}
    text = secrets_manager.get_secret_value(SecretId=secret, VersionStage=label, **which)["SecretString"]
    try:
        fields = json.loads(text)
    except ValueError:
        fields = None
    if isinstance(fields, dict):
        return fields
    known = {name: os.environ[f"PLAIN_{name.upper()}"] for name in ("user", "host", "port")}
    return {"plain": True, "username": known["user"], "password": text, "host": known["host"], "port": known["port"]}


def previous(secret):
    try:
        return [value(secret, "AWSPREVIOUS")]
    except Missing:
        return []


def other(user):
    return user.removesuffix("_clone") if user.endswith("_clone") else user + "_clone"


def enters(credential):
    return psql(credential, "SELECT now();").returncode == 0


def execute(credential, statements, of, grants=None):
    variables = {"name": of["username"], "password": of["password"], "of": (grants or of)["username"]}
    done = psql(credential, statements, variables)
    if done.returncode:
        raise ValueError("the server refuses the statement")
    return done.stdout


def psql(credential, statements, variables=None):
    """Values go in through the environment, so that they are in no list of processes."""
    names = variables or {}
    read = "".join(f"\\getenv {name} VALUE_OF_{name}\n" for name in names)
    environment = {
        "PATH": os.environ["PATH"],
        "PGHOST": credential["host"],
        "PGPORT": str(credential.get("port", 5432)),
        "PGUSER": credential["username"],
        "PGPASSWORD": credential["password"],
        "PGDATABASE": credential.get("dbname", "postgres"),
        "PGSSLMODE": "verify-full",
        "PGSSLROOTCERT": os.environ["CA_FILE"],
        "PGCONNECT_TIMEOUT": "5",
        **{f"VALUE_OF_{name}": text for name, text in names.items()},
    }
    command = ["psql", "-X", "-A", "-t", "-q", "-v", "ON_ERROR_STOP=1", "-f", "-"]
    return subprocess.run(command, env=environment, input=read + statements, capture_output=True, text=True, timeout=20)


class Lambda(http.server.BaseHTTPRequestHandler):
    """Source: https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html"""

    def do_POST(self):
        event = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        failed, answer = None, None
        try:
            rotate(event)
        except Exception as error:
            failed, answer = "Unhandled", {"errorType": type(error).__name__, "errorMessage": str(error)}
        body = json.dumps(answer).encode()
        self.send_response(200)
        if failed:
            self.send_header("X-Amz-Function-Error", failed)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Lambda)
print(server.server_address[1], flush=True)
server.serve_forever()
