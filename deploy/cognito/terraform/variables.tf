variable "name" {
  description = "What the pool, the Lambda and their roles are called."
  type        = string
  default     = "trac"
}

variable "public_url" {
  description = "server.publicUrl of gateway.yaml, as browsers see it, without a slash at its end."
  type        = string
  validation {
    condition     = can(regex("^https://[^/]+(/[^/]+)*$", var.public_url))
    error_message = "Write https://HOST or https://HOST/PATH, without a slash at its end."
  }
}

variable "domain_prefix" {
  description = "The sign-in pages are at PREFIX.auth.REGION.amazoncognito.com; nobody else may have it."
  type        = string
}

variable "email_domain" {
  description = "People are named by what stands before the @ of their address in this domain, and nobody else comes in. Empty: by the ids of the pool."
  type        = string
  default     = ""
}

variable "self_sign_up" {
  description = "Whether people may make accounts by themselves."
  type        = bool
  default     = false
}

variable "groups" {
  description = "The groups of the pool, and what trac_permissions says for the members of each."
  type        = map(list(string))
  default = {
    admins      = ["LEARNING_PARTICIPATE"]
    instructors = ["LEARNING_PARTICIPATE"]
    students    = ["LEARNING_PARTICIPATE"]
  }
}

variable "plugin_permissions" {
  description = "Which permissions of plugins the claim may add."
  type        = list(string)
  default     = ["LEARNING_PARTICIPATE"]
}

variable "token_version" {
  description = "V2_0 puts the claim into access tokens, too, and makes a pool of the Essentials plan, where refresh tokens rotate. V1_0 makes one of the Lite plan, which has neither, so that a refresh token that was copied works until it ends."
  type        = string
  default     = "V2_0"
  validation {
    condition     = contains(["V1_0", "V2_0"], var.token_version)
    error_message = "Write V1_0 or V2_0."
  }
}

variable "identity_pool" {
  description = "Whether signed-in people also get credentials of AWS. The gateway needs none."
  type        = bool
  default     = false
}
