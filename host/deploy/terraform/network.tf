resource "aws_security_group" "function" {
  count       = local.makes_group ? 1 : 0
  name_prefix = "${var.function_name}-function-"
  description = "The rotation function ${var.function_name}. Allow this group at the services that it rotates."
  vpc_id      = var.vpc_id
}

resource "aws_vpc_security_group_egress_rule" "function" {
  count             = local.makes_group ? 1 : 0
  security_group_id = aws_security_group.function[0].id
  # Names are resolved by the VPC's own resolver, which security groups do not concern.
  description = "Services, Secrets Manager and S3"
  ip_protocol = "tcp"
  from_port   = 1
  to_port     = 65535
  cidr_ipv4   = var.egress_cidr
}

resource "aws_security_group" "endpoint" {
  count       = var.create_secrets_manager_endpoint ? 1 : 0
  name_prefix = "${var.function_name}-endpoint-"
  description = "The Secrets Manager endpoint of the rotation function ${var.function_name}"
  vpc_id      = var.vpc_id
}

resource "aws_vpc_security_group_ingress_rule" "endpoint" {
  count             = var.create_secrets_manager_endpoint ? 1 : 0
  security_group_id = aws_security_group.endpoint[0].id
  description       = "The rotation function"
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
  # The function's interfaces carry all of its groups, so one of them is enough.
  referenced_security_group_id = local.security_group_ids[0]
}

resource "aws_vpc_endpoint" "secrets_manager" {
  count = var.create_secrets_manager_endpoint ? 1 : 0
  # Secrets Manager itself uses the keys of secrets: no endpoint for KMS is needed.
  service_name        = "com.amazonaws.${local.region}.secretsmanager"
  vpc_endpoint_type   = "Interface"
  vpc_id              = var.vpc_id
  subnet_ids          = var.vpc_subnet_ids
  security_group_ids  = [aws_security_group.endpoint[0].id]
  private_dns_enabled = true
}

resource "aws_vpc_endpoint" "s3" {
  count             = var.create_s3_endpoint ? 1 : 0
  service_name      = "com.amazonaws.${local.region}.s3"
  vpc_endpoint_type = "Gateway"
  vpc_id            = var.vpc_id
  route_table_ids   = var.route_table_ids
}
