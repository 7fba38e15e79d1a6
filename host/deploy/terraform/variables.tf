variable "package" {
  description = "The zip that `windlass package` makes."
  type        = string
}

variable "endpoint" {
  description = "Where Secrets Manager answers, for example https://secretsmanager.eu-west-1.amazonaws.com; for a FIPS endpoint or one of a VPC without private DNS. Empty: the region's own endpoint."
  type        = string
  default     = ""
  nullable    = false

  validation {
    condition     = can(regex("^(https://[a-z0-9.-]+(:[0-9]{1,5})?/?)?$", var.endpoint))
    error_message = "endpoint must be empty or an https URL without a path."
  }
}

variable "function_name" {
  description = "The name of the function. Its ARN stands in the role."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-zA-Z0-9_-]{1,64}$", var.function_name))
    error_message = "function_name must be 1 to 64 letters, digits, hyphens or underscores."
  }
}

variable "invoking_service_principal" {
  description = "The service that may invoke the function, for secrets of this account."
  type        = string
  default     = "secretsmanager.amazonaws.com"
  nullable    = false

  validation {
    condition     = can(regex("^[a-z0-9-]+\\.amazonaws\\.com(\\.cn)?$", var.invoking_service_principal))
    error_message = "invoking_service_principal must be a service principal such as secretsmanager.amazonaws.com."
  }
}

variable "vpc_subnet_ids" {
  description = "Subnets for the function; best two or more in different zones. Empty means no VPC."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = length(var.vpc_subnet_ids) <= 16 && alltrue([for each in var.vpc_subnet_ids : can(regex("^subnet-([0-9a-f]{8}|[0-9a-f]{17})$", each))])
    error_message = "vpc_subnet_ids must be up to 16 subnet ids."
  }
}

variable "vpc_security_group_ids" {
  description = "Security groups of the function. Empty with subnets means that a group is made, with nothing inbound and TCP outbound to egress_cidr."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = length(var.vpc_security_group_ids) <= 5 && alltrue([for each in var.vpc_security_group_ids : can(regex("^sg-([0-9a-f]{8}|[0-9a-f]{17})$", each))])
    error_message = "vpc_security_group_ids must be up to 5 security group ids."
  }

  validation {
    condition     = length(var.vpc_security_group_ids) == 0 || length(var.vpc_subnet_ids) > 0
    error_message = "Give vpc_subnet_ids. Security groups alone do not put the function into a VPC."
  }
}

variable "kms_key_arn" {
  description = "Customer managed keys of the rotated secrets, as key ARNs (not aliases). Empty if the secrets have the key aws/secretsmanager."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for each in var.kms_key_arn : can(regex("^arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:key/[a-zA-Z0-9-]+$", each))])
    error_message = "kms_key_arn must be key ARNs (arn:aws:kms:REGION:ACCOUNT:key/ID)."
  }
}

variable "exclude_characters" {
  description = "Characters that generated passwords leave out where neither windlass.toml nor the secret's tags say it. Empty leaves it to the plugin's manifest."
  type        = string
  default     = ""
  nullable    = false

  validation {
    condition     = can(regex("^[ -~]{0,94}$", var.exclude_characters))
    error_message = "exclude_characters must be printable ASCII characters."
  }
}

variable "master_secret_arn" {
  description = "Admin secrets that windlass.toml binds, as full ARNs; the six characters at the end may be written ??????. Nothing else about them is granted than to read their current value."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for each in var.master_secret_arn : can(regex("^arn:aws[a-z-]*:secretsmanager:[a-z0-9-]+:[0-9]{12}:secret:[a-zA-Z0-9/_+=.@-]+-([a-zA-Z0-9]{6}|\\?{6})$", each))])
    error_message = "master_secret_arn must be secret ARNs that end in a hyphen and six characters or ??????."
  }

  validation {
    condition     = length(var.master_secret_kms_key_arn) == 0 || length(var.master_secret_arn) > 0
    error_message = "Give master_secret_arn. master_secret_kms_key_arn is used for these secrets only."
  }
}

variable "master_secret_kms_key_arn" {
  description = "Customer managed keys of the admin secrets, as key ARNs. Empty if they have the key aws/secretsmanager."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for each in var.master_secret_kms_key_arn : can(regex("^arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:key/[a-zA-Z0-9-]+$", each))])
    error_message = "master_secret_kms_key_arn must be key ARNs (arn:aws:kms:REGION:ACCOUNT:key/ID)."
  }
}

variable "secret_arn_patterns" {
  description = "Which secrets the function may rotate, as ARNs with * or ? in the name. Empty means every secret of this account and region that names this function as its rotation function."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for each in var.secret_arn_patterns : can(regex("^arn:aws[a-z-]*:secretsmanager:[a-z0-9-]+:[0-9]{12}:secret:[a-zA-Z0-9/_+=.@?*-]+$", each))])
    error_message = "secret_arn_patterns must be secret ARNs, with wildcards only after `secret:`."
  }
}

variable "plugin_bucket" {
  description = "The bucket that `[s3]` of windlass.toml lets plugins come from. Empty means that plugins come with the zip or a layer only."
  type        = string
  default     = ""
  nullable    = false

  validation {
    condition     = can(regex("^([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])?$", var.plugin_bucket))
    error_message = "plugin_bucket must be empty or the name of a bucket."
  }

  validation {
    condition     = (var.plugin_prefix == "" && var.plugin_kms_key_arn == "") || var.plugin_bucket != ""
    error_message = "Give plugin_bucket. plugin_prefix and plugin_kms_key_arn are about its objects."
  }
}

variable "plugin_prefix" {
  description = "The part of plugin_bucket that is read, with the slash at its end, as in `s3.prefixes`. Empty means the whole bucket."
  type        = string
  default     = ""
  nullable    = false

  validation {
    condition     = can(regex("^([a-zA-Z0-9!_.'()-][a-zA-Z0-9!_.'()/-]*/)?$", var.plugin_prefix))
    error_message = "plugin_prefix must be empty or end with a slash, and neither begin with one nor hold * or ?."
  }
}

variable "plugin_kms_key_arn" {
  description = "The customer managed key that objects in plugin_bucket are encrypted with, as a key ARN. Empty if there is none."
  type        = string
  default     = ""
  nullable    = false

  validation {
    condition     = can(regex("^(arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:key/[a-zA-Z0-9-]+)?$", var.plugin_kms_key_arn))
    error_message = "plugin_kms_key_arn must be empty or a key ARN (arn:aws:kms:REGION:ACCOUNT:key/ID)."
  }
}

variable "layer_arns" {
  description = "Layers with a folder `plugins`, as ARNs of layer versions."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = length(var.layer_arns) <= 5 && alltrue([for each in var.layer_arns : can(regex("^arn:aws[a-z-]*:lambda:[a-z0-9-]+:[0-9]{12}:layer:[a-zA-Z0-9_-]+:[0-9]+$", each))])
    error_message = "layer_arns must be up to 5 ARNs of layer versions (they end in a number)."
  }
}

variable "architecture" {
  description = "The machine that the zip was made for, as in `windlass package --target`, where arm64 is called aarch64."
  type        = string
  default     = "x86_64"
  nullable    = false

  validation {
    condition     = contains(["x86_64", "arm64"], var.architecture)
    error_message = "architecture must be one of x86_64, arm64."
  }
}

variable "memory_size" {
  description = "Memory in MiB. Processor time grows with it. A plugin call may use 64 MiB unless windlass.toml allows more."
  type        = number
  default     = 256
  nullable    = false

  validation {
    condition     = var.memory_size >= 128 && var.memory_size <= 10240 && floor(var.memory_size) == var.memory_size
    error_message = "memory_size must be a whole number from 128 to 10240."
  }
}

variable "timeout" {
  description = "Seconds that a step may take. A plugin call takes 25 at most unless windlass.toml allows more, and a step may make several."
  type        = number
  default     = 120
  nullable    = false

  validation {
    condition     = var.timeout >= 30 && var.timeout <= 900 && floor(var.timeout) == var.timeout
    error_message = "timeout must be a whole number from 30 to 900."
  }
}

variable "log_level" {
  description = "What the function logs (WINDLASS_LOG). No level logs a secret's value."
  type        = string
  default     = "info"
  nullable    = false

  validation {
    condition     = contains(["error", "warn", "info", "debug"], var.log_level)
    error_message = "log_level must be one of error, warn, info, debug."
  }
}

variable "permissions_boundary_arn" {
  description = "The permissions boundary of the function's role, as a policy ARN. Empty if there is none."
  type        = string
  default     = ""
  nullable    = false

  validation {
    condition     = can(regex("^(arn:aws[a-z-]*:iam::([0-9]{12}|aws):policy/[a-zA-Z0-9/_+=,.@-]+)?$", var.permissions_boundary_arn))
    error_message = "permissions_boundary_arn must be empty or the ARN of a policy (arn:aws:iam::ACCOUNT:policy/NAME)."
  }
}

variable "role_path" {
  description = "The path of the function's role."
  type        = string
  default     = "/"
  nullable    = false

  validation {
    condition     = can(regex("^/([a-zA-Z0-9_+=,.@-]+/)*$", var.role_path))
    error_message = "role_path must begin and end with a slash."
  }
}

variable "vpc_id" {
  description = "The VPC of the subnets. Needed where this module makes a security group or an endpoint."
  type        = string
  default     = ""
  nullable    = false

  validation {
    condition     = can(regex("^(vpc-([0-9a-f]{8}|[0-9a-f]{17}))?$", var.vpc_id))
    error_message = "vpc_id must be empty or the id of a VPC."
  }

  validation {
    condition     = length(var.vpc_subnet_ids) == 0 || length(var.vpc_security_group_ids) > 0 || var.vpc_id != ""
    error_message = "Give vpc_id, or vpc_security_group_ids. Without security groups this module makes one, and it has to know the VPC."
  }

  validation {
    condition     = !var.create_secrets_manager_endpoint || var.vpc_id != ""
    error_message = "Give vpc_id. The interface endpoint is made in it."
  }

  validation {
    condition     = !var.create_s3_endpoint || var.vpc_id != ""
    error_message = "Give vpc_id. The gateway endpoint is made in it."
  }
}

variable "egress_cidr" {
  description = "Where the security group that this module makes lets the function connect by TCP. It has to cover the services, Secrets Manager, and S3 if plugins come from there."
  type        = string
  default     = "0.0.0.0/0"
  nullable    = false

  validation {
    condition     = can(regex("^([0-9]{1,3}\\.){3}[0-9]{1,3}/([0-9]|[12][0-9]|3[0-2])$", var.egress_cidr))
    error_message = "egress_cidr must be an IPv4 range such as 10.0.0.0/8."
  }
}

variable "network_interface_permissions" {
  description = "Whether the role may manage network interfaces. `always` lets you put the function into a VPC later with `aws lambda update-function-configuration`; `with-vpc` grants it only with vpc_subnet_ids."
  type        = string
  default     = "with-vpc"
  nullable    = false

  validation {
    condition     = contains(["with-vpc", "always"], var.network_interface_permissions)
    error_message = "network_interface_permissions must be one of with-vpc, always."
  }
}

variable "create_secrets_manager_endpoint" {
  description = "Whether to make an interface endpoint for Secrets Manager in the subnets, for a VPC without a way to the internet. Its private DNS name serves the whole VPC, which can have one such endpoint only."
  type        = bool
  default     = false
  nullable    = false

  validation {
    condition     = !var.create_secrets_manager_endpoint || length(var.vpc_subnet_ids) > 0
    error_message = "Give vpc_subnet_ids. The interface endpoint gets its addresses there."
  }
}

variable "create_s3_endpoint" {
  description = "Whether to make a gateway endpoint for S3 in route_table_ids, for plugins from S3 in a VPC without a way to the internet."
  type        = bool
  default     = false
  nullable    = false

  validation {
    condition     = !var.create_s3_endpoint || length(var.route_table_ids) > 0
    error_message = "Give route_table_ids. The gateway endpoint does nothing without a route."
  }
}

variable "route_table_ids" {
  description = "The route tables of the subnets, for the gateway endpoint."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for each in var.route_table_ids : can(regex("^rtb-([0-9a-f]{8}|[0-9a-f]{17})$", each))])
    error_message = "route_table_ids must be route table ids."
  }
}

variable "log_retention_days" {
  description = "Days that the log is kept."
  type        = number
  default     = 90
  nullable    = false

  validation {
    condition     = contains([1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653], var.log_retention_days)
    error_message = "log_retention_days must be one of 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653."
  }
}

variable "log_kms_key_arn" {
  description = "The key that encrypts the log, as a key ARN. Its policy has to let logs.REGION.amazonaws.com use it. Empty: CloudWatch's own key."
  type        = string
  default     = ""
  nullable    = false

  validation {
    condition     = can(regex("^(arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:key/[a-zA-Z0-9-]+)?$", var.log_kms_key_arn))
    error_message = "log_kms_key_arn must be empty or a key ARN (arn:aws:kms:REGION:ACCOUNT:key/ID)."
  }
}

variable "alarm_topic_arn" {
  description = "The SNS topic that hears of failed rotations and alarms. Its policy has to let events.amazonaws.com and cloudwatch.amazonaws.com publish. Empty: a topic is made, to which you subscribe."
  type        = string
  default     = ""
  nullable    = false

  validation {
    condition     = can(regex("^(arn:aws[a-z-]*:sns:[a-z0-9-]+:[0-9]{12}:[a-zA-Z0-9_-]{1,256})?$", var.alarm_topic_arn))
    error_message = "alarm_topic_arn must be empty or the ARN of a standard topic (arn:aws:sns:REGION:ACCOUNT:NAME)."
  }

  validation {
    condition     = var.alarm_topic_arn == "" || var.alarm_topic_kms_key_arn == ""
    error_message = "Leave alarm_topic_arn or alarm_topic_kms_key_arn empty. A topic that exists has its key already."
  }
}

variable "alarm_topic_kms_key_arn" {
  description = "The key of the topic that this module makes. Its policy has to let events.amazonaws.com and cloudwatch.amazonaws.com use it, which that of alias/aws/sns does not. Empty: none."
  type        = string
  default     = ""
  nullable    = false

  validation {
    condition     = can(regex("^(arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:key/[a-zA-Z0-9-]+)?$", var.alarm_topic_kms_key_arn))
    error_message = "alarm_topic_kms_key_arn must be empty or a key ARN (arn:aws:kms:REGION:ACCOUNT:key/ID)."
  }
}

variable "dashboard" {
  description = "Whether to make a CloudWatch dashboard with the name of the function. AWS charges for dashboards."
  type        = bool
  default     = true
  nullable    = false
}

variable "heartbeat_schedule" {
  description = "When the function tries whether secrets whose rules say `heartbeat = true` still open their services, without changing anything: rate(1 day) or cron(0 6 * * ? *), in UTC. Empty: never."
  type        = string
  default     = ""
  nullable    = false

  validation {
    condition     = can(regex("^(rate\\((1 (minute|hour|day)|([2-9]|[1-9][0-9]{1,2}) minutes|([2-9]|1[0-9]|2[0-4]) hours)\\)|cron\\([^ ()]+( [^ ()]+){5}\\))?$", var.heartbeat_schedule))
    error_message = "heartbeat_schedule must be empty, rate(1 day), rate(2 hours) or the like, at least daily, or cron() with six fields."
  }
}

variable "heartbeat_alarm_period" {
  description = "Seconds from one heartbeat to the next, or more: its alarms count in such periods. With a shorter period they misfire."
  type        = number
  default     = 86400
  nullable    = false

  validation {
    condition     = contains([300, 900, 3600, 21600, 43200, 86400], var.heartbeat_alarm_period)
    error_message = "heartbeat_alarm_period must be one of 300, 900, 3600, 21600, 43200, 86400."
  }
}
