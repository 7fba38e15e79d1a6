"""The eight jobs of somebody who lets a function rotate a secret of a service that AWS has no function for, one after the other.

Jobs 2 to 6 are done with the AWS CLI against moto's server. Jobs 1, 7 and 8 are done for real: `windlass package` makes the zip, the zip is
unpacked and its `bootstrap` speaks to cargo-lambda's Runtime API, `windlass local` is the Secrets Manager that invokes it, and a Redis server
knows the accounts. The jobs are those of AWS's article on functions for other services:
https://repost.aws/knowledge-center/secrets-manager-function-unsupported-service

Run by `host/deploy/check --jobs`, which installs what is needed. Prints a line for each job, and ends with 1 if one failed. Numbers as
arguments are jobs; 7 and 8 need 1, and 3 to 6 those before them from 2 on. WINDLASS_BOOTSTRAP is the function, WINDLASS_MACHINE its machine, WINDLASS_EMULATOR what runs it here.
"""

import contextlib
import json
import os
import platform
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
TARGET = Path(os.environ["WINDLASS_TARGET"])
PROGRAMS = Path(sys.executable).parent
AWS = os.environ["WINDLASS_AWS_CLI"]
REGION = "eu-west-1"
FUNCTION_ARN = f"arn:aws:lambda:{REGION}:123456789012:function:windlass"
BOOTSTRAP = Path(os.environ.get("WINDLASS_BOOTSTRAP") or TARGET / "debug/bootstrap")
MACHINE = os.environ.get("WINDLASS_MACHINE") or platform.machine()
EMULATOR = os.environ.get("WINDLASS_EMULATOR", "").split()
PATIENCE = 60


class Failed(Exception):
    """What did not come out as it should."""


def main():
    jobs = [
        ("The code of the function: packed, nothing written", Jobs.pack),
        ("The change set, with the article's parameters and capabilities", Jobs.make_change_set),
        ("The change set executed: function and role exist", Jobs.execute_change_set),
        ("The function is listed", Jobs.list_functions),
        ("The function is moved into a VPC", Jobs.move_into_vpc),
        ("The VPC gets an endpoint for Secrets Manager", Jobs.create_endpoint),
        ("A service that cannot be reached is named, with host, port and stage", Jobs.name_what_is_out_of_reach),
        ("The plugin is chosen by a tag and the secret is rotated", Jobs.rotate),
    ]
    chosen = {int(number) for number in sys.argv[1:]} or set(range(1, len(jobs) + 1))
    failed = 0
    with contextlib.ExitStack() as stack:
        the = Jobs(stack)
        for number, (what, job) in enumerate(jobs, 1):
            if number not in chosen:
                continue
            began = time.monotonic()
            try:
                seen = job(the)
            # Whatever it is: the other jobs may tell more.
            except Exception as error:
                failed += 1
                print(f"{number}  FAILED  {what}\n           {type(error).__name__}: {error}", flush=True)
            else:
                print(f"{number}  ok      {what} ({time.monotonic() - began:.1f} s)\n           {seen}", flush=True)
    sys.exit(1 if failed else 0)


class Jobs:
    """Each job returns what was seen, in a line. Later ones go on where earlier ones ended."""

    def __init__(self, stack):
        self.stack = stack
        self.folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        self.moto = start_moto(stack)
        self.redis = Redis(stack, self.folder / "redis")
        self.unpacked = self.folder / "function"
        self.local = None

    # 1

    def pack(self):
        plugins, configuration = self.folder / "plugins", self.folder / "windlass.toml"
        plugins.mkdir()
        shutil.copy(TARGET / "plugins/redis.wasm", plugins)
        # Only because this service runs on this machine.
        configuration.write_text(f'danger_loopback_endpoints = ["127.0.0.1:{self.redis.port}", "127.0.0.1:{self.redis.closed_port}"]\n')
        made = run(
            [TARGET / "debug/windlass", "package", "--plugins", plugins, "--config", configuration, "--target", MACHINE, "--json"]
            + ["--bootstrap", BOOTSTRAP, "--out", self.zip]
        )  # fmt: skip
        digest = json.loads(made)["digest"]
        with zipfile.ZipFile(self.zip) as packed:
            names = packed.namelist()
            packed.extractall(self.unpacked)
        for name in ("bootstrap", "plugins/redis.wasm", "windlass.toml"):
            assert name in names, f"{name} is not in the zip: {names}"
        (self.unpacked / "bootstrap").chmod(0o755)
        return f"windlass.zip, {digest}: {', '.join(sorted(names))}"

    # 2 to 6, against moto

    def make_change_set(self):
        # The template names zip, licence and guide by their places in the repository.
        deploy = self.folder / "host/deploy"
        deploy.mkdir(parents=True)
        for name in ("template.yaml", "README.md"):
            shutil.copy(REPOSITORY / "host/deploy" / name, deploy)
        shutil.copy(REPOSITORY / "LICENSE", self.folder)
        self.aws("s3", "mb", "s3://acme-deployments")
        packaged = self.folder / "packaged.yaml"
        self.aws(
            "cloudformation", "package", "--template-file", deploy / "template.yaml", "--s3-bucket", "acme-deployments",
            "--output-template-file", packaged,
        )  # fmt: skip
        change_set = self.aws(
            "cloudformation", "create-change-set", "--stack-name", "windlass", "--change-set-name", "v1", "--change-set-type", "CREATE",
            "--template-body", f"file://{packaged}", "--capabilities", "CAPABILITY_IAM", "CAPABILITY_RESOURCE_POLICY", "--parameters",
            f"ParameterKey=endpoint,ParameterValue=https://secretsmanager.{REGION}.amazonaws.com",
            "ParameterKey=functionName,ParameterValue=windlass",
            "ParameterKey=networkInterfacePermissions,ParameterValue=always",
        )["Id"]  # fmt: skip
        return change_set

    def execute_change_set(self):
        self.aws("cloudformation", "wait", "change-set-create-complete", "--stack-name", "windlass", "--change-set-name", "v1")
        self.aws("cloudformation", "execute-change-set", "--stack-name", "windlass", "--change-set-name", "v1")
        self.aws("cloudformation", "wait", "stack-create-complete", "--stack-name", "windlass")
        function = self.aws("lambda", "get-function-configuration", "--function-name", "windlass")
        return f"{function['FunctionArn']} with {function['Role']}"

    def list_functions(self):
        (function,) = [each for each in self.aws("lambda", "list-functions")["Functions"] if each["FunctionName"] == "windlass"]
        assert (function["Runtime"], function["Handler"]) == ("provided.al2023", "bootstrap"), function
        return f"windlass: {function['Runtime']}, {function['MemorySize']} MiB, {function['Timeout']} s"

    def move_into_vpc(self):
        self.vpc = self.aws("ec2", "create-vpc", "--cidr-block", "10.0.0.0/16")["Vpc"]["VpcId"]
        self.subnet = self.aws("ec2", "create-subnet", "--vpc-id", self.vpc, "--cidr-block", "10.0.1.0/24")["Subnet"]["SubnetId"]
        group = self.create_group("rotation")
        config = self.aws(
            "lambda", "update-function-configuration", "--function-name", "windlass",
            "--vpc-config", f"SubnetIds={self.subnet},SecurityGroupIds={group}",
        )["VpcConfig"]  # fmt: skip
        assert (config["SubnetIds"], config["SecurityGroupIds"]) == ([self.subnet], [group]), config
        self.group = group
        return f"{self.subnet}, {group}"

    def create_group(self, name):
        return self.aws("ec2", "create-security-group", "--vpc-id", self.vpc, "--group-name", name, "--description", name)["GroupId"]

    def create_endpoint(self):
        # The function's own group lets nothing in.
        group = self.create_group("endpoint")
        self.aws("ec2", "authorize-security-group-ingress", "--group-id", group, "--protocol", "tcp", "--port", "443", "--source-group", self.group)
        endpoint = self.aws(
            "ec2", "create-vpc-endpoint", "--vpc-id", self.vpc, "--vpc-endpoint-type", "Interface", "--subnet-ids", self.subnet,
            "--service-name", f"com.amazonaws.{REGION}.secretsmanager", "--private-dns-enabled", "--security-group-ids", group,
        )["VpcEndpoint"]  # fmt: skip
        return f"{endpoint['VpcEndpointId']} for {endpoint['ServiceName']}"

    # 7 and 8, for real

    def name_what_is_out_of_reach(self):
        secret = self.create_secret("unreachable", self.redis.closed_port)
        self.rotate_secret(secret)
        failed = self.local.report(lambda report: report["event"] == "StepFailed" and report.get("secret") == secret)
        assert failed["errorType"] == "Windlass.Unreachable", failed
        message = failed["errorMessage"]
        assert re.search(rf"127\.0\.0\.1:{self.redis.closed_port}.*\(connect\)", message), message
        return f"{failed['step']}: {failed['errorType']}: {message}"

    def rotate(self):
        secret = self.create_secret("redis", self.redis.port)
        before = self.secret_value(secret)
        version = self.rotate_secret(secret)
        end = self.local.report(lambda report: report.get("secret") == secret and report["event"] in ("RotationSucceeded", "StepFailed"))
        assert end["event"] == "RotationSucceeded", end
        described = self.secrets_manager("describe-secret", "--secret-id", secret)
        assert described["RotationRules"] == {"AutomaticallyAfterDays": 7} and described["RotationEnabled"], described
        assert described["VersionIdsToStages"][version] == ["AWSCURRENT"], described["VersionIdsToStages"]
        after = self.secret_value(secret)
        assert before["password"] != after["password"] and before["username"] == after["username"], "the password is the same"
        assert self.redis.accepts(after["username"], after["password"]), "the service refuses the new password"
        return f"AWSCURRENT is {version}, and Redis accepts it"

    def create_secret(self, name, port):
        self.start_function()
        password = secrets.token_urlsafe(24)
        self.redis.add_user(name, password)
        value = {"username": name, "password": password, "host": "127.0.0.1", "port": port, "tls": False}
        secret = self.secrets_manager("create-secret", "--name", f"prod/{name}", "--secret-string", json.dumps(value))["ARN"]
        self.secrets_manager("tag-resource", "--secret-id", secret, "--tags", "Key=windlass:plugin,Value=redis")
        return secret

    def rotate_secret(self, secret):
        return self.secrets_manager(
            "rotate-secret", "--secret-id", secret, "--rotation-lambda-arn", FUNCTION_ARN, "--rotation-rules", "AutomaticallyAfterDays=7"
        )["VersionId"]

    def secret_value(self, secret):
        return json.loads(self.secrets_manager("get-secret-value", "--secret-id", secret)["SecretString"])

    def start_function(self):
        """Starts Secrets Manager, Lambda and the function that was unpacked, which find each other by their ports."""
        if self.local:
            return
        lambda_endpoint = start_cargo_lambda(self.stack, self.folder / "cargo-lambda")
        self.local = Local(self.stack, lambda_endpoint, self.folder / "local.log")
        # What Lambda gives a function; the endpoint is the template's parameter.
        environment = {
            "AWS_LAMBDA_RUNTIME_API": f"{lambda_endpoint}/.rt/windlass",
            "AWS_LAMBDA_FUNCTION_NAME": "windlass",
            "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "256",
            "LAMBDA_TASK_ROOT": str(self.unpacked),
            "SECRETS_MANAGER_ENDPOINT": self.local.endpoint,
            **aws_environment(),
        }
        with (self.folder / "function.log").open("w") as log:
            start(self.stack, [*EMULATOR, self.unpacked / "bootstrap"], environment, cwd=self.unpacked, stdout=log, stderr=log)

    def secrets_manager(self, *arguments):
        return aws(self.local.endpoint, "secretsmanager", *arguments)

    def aws(self, *arguments):
        return aws(self.moto, *arguments)

    @property
    def zip(self):
        return self.folder / "windlass.zip"


class Local:
    """`windlass local`, and what it reports."""

    def __init__(self, stack, lambda_endpoint, log):
        command = [TARGET / "debug/windlass", "local", "--json", "--lambda-endpoint", lambda_endpoint, "--function-arn", FUNCTION_ARN]
        self.log = log
        with log.open("w") as output:
            start(stack, command, {}, stdout=output, stderr=subprocess.STDOUT)
        self.endpoint = self.report(lambda report: report["event"] == "Listening")["endpoint"]

    def report(self, wanted):
        """The first report of this kind."""

        def found():
            reports = (json.loads(line) for line in self.log.read_text().splitlines() if line.startswith("{"))
            return next((report for report in reports if wanted(report)), None)

        return wait_for(found, lambda: f"windlass local did not say what was waited for:\n{self.log.read_text()[-2000:]}")


class Redis:
    """A Redis server of its own, on loopback, and a port on which nothing listens."""

    def __init__(self, stack, folder):
        folder.mkdir()
        self.port, self.closed_port = free_port(), free_port()
        self.admin = secrets.token_urlsafe(24)
        users = folder / "users.acl"
        users.write_text(f"user default off\nuser admin on >{self.admin} ~* &* +@all\n")
        configuration = folder / "redis.conf"
        configuration.write_text(f"bind 127.0.0.1\nport {self.port}\naclfile {users}\ndir {folder}\nsave ''\n")
        start(stack, ["redis-server", configuration], {}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_for(lambda: self.accepts("admin", self.admin), lambda: "redis-server does not answer")

    def accepts(self, user, password):
        return self.ask(user, password, "ACL", "WHOAMI").strip() == user

    def add_user(self, user, password):
        answer = self.ask("admin", self.admin, "ACL", "SETUSER", user, "on", f">{password}", "+@all").strip()
        assert answer == "OK", f"Redis does not take the user: {answer}"

    def ask(self, user, password, *words):
        command = ["redis-cli", "-h", "127.0.0.1", "-p", str(self.port), "--user", user, "--no-auth-warning", *words]
        environment = {"PATH": os.environ["PATH"], "REDISCLI_AUTH": password}
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=PATIENCE, check=False).stdout


def start_moto(stack):
    port = free_port()
    start(stack, [PROGRAMS / "moto_server", "-H", "127.0.0.1", "-p", str(port)], {}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_for(lambda: listens(port), lambda: "moto's server does not answer")
    return f"http://127.0.0.1:{port}"


def start_cargo_lambda(stack, folder):
    """A Runtime API and the API that invokes. It wants to be in a project that has the function's name, and builds nothing of it."""
    (folder / "src").mkdir(parents=True)
    (folder / "src/main.rs").write_text("fn main() {}\n")
    (folder / "Cargo.toml").write_text('[package]\nname = "windlass"\nversion = "0.0.0"\nedition = "2021"\n')
    port = free_port()
    command = [PROGRAMS / "cargo-lambda", "lambda", "watch", "--only-lambda-apis", "-A", "127.0.0.1", "-P", str(port)]
    # It asks cargo what the project consists of.
    environment = {name: os.environ[name] for name in ("HOME", "CARGO_HOME", "RUSTUP_HOME") if name in os.environ}
    with (folder / "log").open("w") as log:
        start(stack, command, environment, cwd=folder, stdout=log, stderr=log)
    wait_for(lambda: listens(port), lambda: f"cargo-lambda does not answer: {(folder / 'log').read_text()}")
    return f"http://127.0.0.1:{port}"


def aws_environment():
    return {
        "AWS_ACCESS_KEY_ID": "made-up",
        "AWS_SECRET_ACCESS_KEY": "made-up",
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_PAGER": "",
    }


def aws(endpoint, *arguments):
    """What the AWS CLI answers, as Python values."""
    environment = {"PATH": os.environ["PATH"], "AWS_ENDPOINT_URL": endpoint, **aws_environment()}
    answer = run([AWS, *arguments], environment)
    return json.loads(answer) if answer.strip().startswith(("{", "[")) else answer


def run(command, environment=None):
    done = subprocess.run([str(word) for word in command], env=environment, capture_output=True, text=True, timeout=120, check=False)
    if done.returncode:
        raise Failed(f"{Path(command[0]).name} {' '.join(map(str, command[1:4]))} ended with {done.returncode}: {done.stderr.strip()[-2000:]}")
    return done.stdout


def start(stack, command, environment, **more):
    """A program that ends with this one."""
    environment = {"PATH": os.environ["PATH"], **environment}
    process = subprocess.Popen([str(word) for word in command], env=environment, stdin=subprocess.DEVNULL, start_new_session=True, **more)

    def stop():
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    stack.callback(stop)


def wait_for(ready, otherwise):
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if found := ready():
            return found
        time.sleep(0.1)
    raise Failed(otherwise())


def listens(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


if __name__ == "__main__":
    main()
